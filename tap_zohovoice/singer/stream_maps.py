"""Stream maps of the SDK: validation before any request, and errors without tracebacks."""

import ast
import difflib
import logging
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fnmatch import fnmatch
from typing import Any

from simpleeval import AttributeDoesNotExist, InvalidExpression, NameNotDefined
from singer_sdk import mapper as sdk
from singer_sdk.exceptions import MappingError
from singer_sdk.singerlib import Catalog
from singer_sdk.singerlib.catalog import CatalogEntry

from tap_zohovoice.exceptions import InvalidInputError, ZohoVoiceError

Json = Mapping[str, Any]
_ELSE, _FILTER, _SOURCE = "__else__", "__filter__", "__source__"
_OPTIONS: dict[str, Any] = {
    "__alias__": {"type": "string"},
    _ELSE: {"enum": [None, sdk.NULL_STRING]},
    _FILTER: {"type": ["string", "null"]},
    "__key_properties__": {"type": ["array", "null"], "items": {"type": "string"}},
    _SOURCE: {"type": "string"},
}
STREAM_MAPS_SCHEMA: dict[str, Any] = {  # the SDK's own is not valid JSON Schema
    "properties": {_ELSE: _OPTIONS[_ELSE]},
    "propertyNames": {"pattern": f"^({_ELSE}$|(?!__))", "examples": ["call_logs"]},
    "additionalProperties": {
        "type": ["object", "null", "string"],
        "pattern": f"^{sdk.NULL_STRING}$",
        "examples": [sdk.NULL_STRING],
        "properties": _OPTIONS,
        "additionalProperties": {"type": ["string", "null"]},
    },
}
_NULLS = (None, sdk.NULL_STRING)
_TYPES: dict[type, list[str]] = {str: ["string"], bool: ["boolean"], int: ["number", "integer"]}
_TYPES |= {float: ["number"], Decimal: ["number"], dict: ["object"]}
_TYPES |= {kind: ["array"] for kind in (list, set, tuple)}


def build_mapper(config: Json, catalog: Catalog, logger: logging.Logger) -> sdk.PluginMapper:
    """Validate the stream maps and build the SDK's mapper.

    A map without effect is logged as a warning. Maps of deselected streams are not validated:
    `--test` emits nothing of such a stream. `InvalidInputError` has one line for each error,
    without values.
    """
    maps = config.get("stream_maps", {})
    for line in _find_unused(maps, catalog):
        logger.warning("stream_maps: %s", line)
    # The SDK removes `__else__` from the maps.
    mapper, errors = sdk.PluginMapper({**config, "stream_maps": {**maps}}, logger), list[str]()
    for name, entry in catalog.items():
        own = {key: fields for key, fields in maps.items() if fnmatch(name, _source(key, fields))}
        errors += _register(mapper, name, entry, own)
    errors += [] if errors else _find_invalid_names(mapper, catalog)
    if errors:
        raise InvalidInputError(*(f"stream_maps: {error}" for error in dict.fromkeys(errors)))
    return mapper


def _register(
    mapper: sdk.PluginMapper, stream: str, entry: CatalogEntry, maps: dict[str, Any]
) -> Iterator[str]:
    """Register a stream with its maps; yield each error in them if it is selected."""
    mask = entry.metadata.resolve_selection()
    mapper.stream_maps_dict = maps if mask[()] else dict.fromkeys(maps)
    maps = {key: fields for key, fields in mapper.stream_maps_dict.items() if fields not in _NULLS}
    errors = [f"{key}.{error}" for key, fields in maps.items() for error in _find_invalid(fields)]
    if errors:
        yield from errors
        return
    try:
        mapper.register_raw_streams_from_catalog(Catalog({stream: entry}))
    except Exception as error:  # noqa: BLE001 - an alias is an expression too
        is_told = isinstance(error, MappingError | ValueError)
        yield str(error) if is_told else f"the alias of {stream} is invalid: {_reason(error, '')}"
        return
    steps = [step for step in mapper.stream_maps[stream] if isinstance(step, sdk.CustomStreamMap)]
    schemas = entry.schema.to_dict()["properties"] if steps else {}
    sample = {name: _sample(spec) for name, spec in schemas.items() if mask["properties", name]}
    # The SDK applies the last map of the stream itself, then those of its copies.
    keys = sorted(maps, key=lambda key: _SOURCE in maps[key])[len(maps) - len(steps) :]
    for key, step in zip(keys, steps, strict=False):
        yield from _try_expressions(key, maps[key], step, _Sample(sample))


def _find_invalid_names(mapper: sdk.PluginMapper, catalog: Catalog) -> Iterator[str]:
    """Yield aliases that are no names, and names that several streams would have in the output."""
    selected = [name for name, entry in catalog.items() if entry.metadata.resolve_selection()[()]]
    steps = [step for name in selected for step in mapper.stream_maps.get(name, ())]
    names = [step.stream_alias for step in steps if not isinstance(step, sdk.RemoveRecordTransform)]
    folded = [str(name).lower() for name in names]  # loaders fold them too
    for name in names:
        if not name or not isinstance(name, str):
            yield f"the alias {shorten(str(name))} is not a name"
        elif folded.count(name.lower()) > 1:
            yield f"several streams have the name {shorten(name)}; give each another alias"


def _source(key: str, fields: Any) -> str:  # noqa: ANN401 - any JSON
    """Return the name or pattern of the streams that a map is for."""
    return str(fields.get(_SOURCE, key)) if isinstance(fields, dict) else key


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a known name that is like an unknown one, as a question."""
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]}?" if near else ""


def shorten(name: str) -> str:
    """Return the start of a name, quoted if it is empty or would break the line."""
    start = name[:60]
    return start if start and start.isprintable() else repr(start)


def _find_invalid(fields: Json) -> Iterator[str]:
    """Yield mistakes that the SDK does not report, or not with the name of the field."""
    for name, value in fields.items():
        if name.startswith("__") and name not in _OPTIONS:
            yield f"{shorten(name)} is not an option{suggest(name, _OPTIONS)}"
        try:
            if name != _SOURCE and isinstance(value, str):
                ast.parse(value, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            yield f"{shorten(name)}: invalid syntax"


def _find_unused(maps: Json, catalog: Mapping[str, CatalogEntry]) -> Iterator[str]:
    for key, fields in maps.items():
        source = _source(key, fields)
        streams = [name for name in catalog if fnmatch(name, source)]
        if not streams:
            if key != _ELSE:
                yield f"stream {shorten(source)} does not exist{suggest(source, catalog)}"
            continue
        if fields == {}:
            # Meltano drops settings that are null, so a map of nulls becomes empty.
            yield f'the map of {shorten(key)} is empty; to hide a field, use "__NULL__"'
        known = {name for stream in streams for name in catalog[stream].schema.properties or {}}
        lower = {name.lower(): name for name in known}
        for name, value in fields.items() if isinstance(fields, dict) else ():
            twins = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.9)
            if name not in known and not name.startswith("__") and (twins or value in _NULLS):
                hint = suggest(name, [lower[twin] for twin in twins] or known)
                yield f"field {key}.{shorten(name)} does not exist{hint}; it hides nothing"


def _try_expressions(
    key: str, fields: Json, step: sdk.CustomStreamMap, record: dict[str, Any]
) -> list[str]:
    """Map a sample record and return the errors; simplify those of records from now on."""
    evaluator: Any = step.expr_evaluator
    evaluate_with_sdk, errors = evaluator.eval, list[str]()

    def names_of(expr: str) -> list[str]:
        return [name for name, text in fields.items() if text == expr]

    def describe(expr: str, reason: str) -> str:
        return f"{', '.join(f'{key}.{shorten(name)}' for name in names_of(expr))}: {reason}"

    def check(expr: str, previously_parsed: ast.stmt) -> bool:
        nodes = [node for node in ast.walk(previously_parsed) if isinstance(node, ast.Name)]
        bound = {node.id for node in nodes if isinstance(node.ctx, ast.Store)}
        known = {*evaluator.names, *step.functions, *bound}
        # Also in branches that are not evaluated.
        if unknown := [node.id for node in nodes if node.id not in known]:
            hint = suggest(unknown[0], known)
            errors.append(describe(expr, f"unknown name {shorten(unknown[0])}{hint}"))
            return True
        try:
            value = evaluate_with_sdk(expr)
            if step.flattening_enabled and isinstance(value, dict | list):
                value = ""  # the SDK writes it as text
            _declare(step.transformed_schema["properties"], names_of(expr), value)
        except Exception as error:  # noqa: BLE001 - any other may depend on the values
            if isinstance(error, InvalidExpression | AttributeError | TypeError):
                errors.append(describe(expr, _reason(error, expr)))
        return True  # no filter ends the check

    def evaluate(expr: str, previously_parsed: ast.stmt) -> object:
        try:
            return evaluate_with_sdk(expr, previously_parsed=previously_parsed)
        except Exception as error:
            message = f"stream_maps: {describe(expr, _reason(error, expr))}"
            raise ZohoVoiceError(message) from error

    step.map_config = _Sample(step.map_config)
    evaluator.eval = check
    step.transform(record)
    evaluator.eval = evaluate
    return errors


def _declare(properties: dict[str, Any], names: list[str], value: object) -> None:
    """Declare the type of a value, where the SDK takes its expression for text."""
    kinds = next((names for kind, names in _TYPES.items() if isinstance(value, kind)), [])
    for name in (name for name in names if not name.startswith("__")):
        # An object that becomes a value was flattened, so it is not declared.
        if kinds and not {*kinds} & {*properties.get(name, {"type": ()}).get("type", kinds)}:
            properties[name] = {"type": [kinds[0], "null"]}


class _Sample(dict[str, Any]):
    """A sample of an object; an open one may have other members."""

    is_open = False

    def __missing__(self, key: str) -> Any:  # noqa: ANN401
        raise LookupError(key) if self.is_open else NameNotDefined(key, "")


def _sample(schema: Json) -> Any:  # noqa: ANN401 - a value of any type
    kinds = schema.get("type", "string")
    if "object" in kinds:
        members = schema.get("properties", {})
        found = _Sample({name: _sample(member) for name, member in members.items()})
        found.is_open = not members
        return found
    if "array" in kinds:
        return [_sample(schema["items"])]
    samples = {"integer": 1, "number": 1.5, "boolean": True}
    return next((samples[kind] for kind in kinds if kind in samples), "2025-01-01T00:00:00+00:00")


def _reason(error: Exception, expr: str) -> str:
    """Describe an error without the expression or a value, which may be secret or personal."""
    match error:
        case NameNotDefined(name=str(name)) if name in expr:
            return f"{shorten(name)} not found in the record or in stream_map_config"
        case AttributeDoesNotExist():
            return f"unknown attribute {shorten(str(error.attr))} of a value, which may be null"
        case InvalidExpression():
            return f"unsupported expression ({type(error).__name__})"
    return f"{type(error).__name__}; check the types of the values, each may be null"
