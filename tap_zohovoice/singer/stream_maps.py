"""Stream maps of the SDK: validation before any request, and errors without tracebacks."""

import ast
import difflib
import logging
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from typing import Any

from simpleeval import AttributeDoesNotExist, InvalidExpression
from singer_sdk import mapper as sdk
from singer_sdk.exceptions import MappingError
from singer_sdk.singerlib import Catalog
from singer_sdk.singerlib.catalog import CatalogEntry

from tap_zohovoice.exceptions import InvalidInputError, ZohoVoiceError

Json = Mapping[str, Any]

_ALIAS, _ELSE, _FILTER = sdk.MAPPER_ALIAS_OPTION, sdk.MAPPER_ELSE_OPTION, sdk.MAPPER_FILTER_OPTION
_KEYS, _SOURCE = sdk.MAPPER_KEY_PROPERTIES_OPTION, sdk.MAPPER_SOURCE_OPTION
_TYPES = {str: ["string"], bool: ["boolean"], int: ["number", "integer"], float: ["number"]}
_OPTIONS = {_ALIAS, _ELSE, _FILTER, _KEYS, _SOURCE}


def build_mapper(config: Json, catalog: Catalog, logger: logging.Logger) -> sdk.PluginMapper:
    """Validate the stream maps and build the SDK's mapper.

    A map without effect is logged as a warning. Maps of deselected streams are not validated:
    `--test` emits nothing of such a stream.

    Raises:
        InvalidInputError: If a map is invalid, with one line for each error, without values.
    """
    maps = _with_nulls(config.get("stream_maps", {}))
    errors = [*_find_invalid_maps(maps)]
    if not errors:
        for line in _find_unused(maps, catalog):
            logger.warning("stream_maps: %s", line)
        # The SDK removes `__else__` from the maps.
        mapper = sdk.PluginMapper({**config, "stream_maps": {**maps}}, logger)
        for name, entry in catalog.items():
            own = {
                key: fields for key, fields in maps.items() if fnmatch(name, _source(key, fields))
            }
            errors += _register(mapper, name, entry, own)
    if errors:
        raise InvalidInputError(*(f"stream_maps: {error}" for error in dict.fromkeys(errors)))
    return mapper


def _register(
    mapper: sdk.PluginMapper, stream: str, entry: CatalogEntry, maps: dict[str, Any]
) -> Iterator[str]:
    """Register a stream with its maps; yield each error in them if it is selected."""
    mask = entry.metadata.resolve_selection()
    mapper.stream_maps_dict = maps if mask[()] else dict.fromkeys(maps)
    maps = {key: fields for key, fields in mapper.stream_maps_dict.items() if fields is not None}
    errors = [f"{key}.{error}" for key, fields in maps.items() for error in _find_invalid(fields)]
    if errors:
        yield from errors
        return
    try:
        mapper.register_raw_streams_from_catalog(Catalog({stream: entry}))
    except (MappingError, ValueError) as error:
        yield str(error)
        return
    schemas = entry.schema.to_dict()["properties"]
    record = {name: _sample(spec) for name, spec in schemas.items() if mask["properties", name]}
    copies = [key for key, fields in maps.items() if _SOURCE in fields]
    # Of several maps of the stream itself, the SDK applies the last one.
    own = [key for key in maps if key not in copies][-1:] or [stream]
    for key, step in zip(own + copies, mapper.stream_maps[stream], strict=True):
        if isinstance(step, sdk.CustomStreamMap):
            yield from _try_expressions(key, maps[key], step, _Sample(record))


def _source(key: str, fields: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the name or pattern of the streams that a map is for."""
    return fields.get(_SOURCE, key) if isinstance(fields, dict) else key


def _with_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {name: _with_nulls(member) for name, member in value.items()}
    return None if value == sdk.NULL_STRING else value


def _suggest(name: str, known: Any) -> str:  # noqa: ANN401 - names of any collection
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]}?" if near else ""


def _find_invalid_maps(maps: Json) -> Iterator[str]:
    """Yield errors outside of maps, for which the SDK would quote values, secret or not."""
    for key, fields in maps.items():
        if key.startswith("__") and key != _ELSE:
            yield f"{key[:60]} is not an option"
        elif fields is not None and (key == _ELSE or not isinstance(fields, dict)):
            yield f"{key[:60]} must be {'null' if key == _ELSE else 'an object or null'}"
        elif not isinstance(_source(key, fields), str):
            yield f"{key[:60]}.{_SOURCE} must be text"


def _find_invalid(fields: Json) -> Iterator[str]:
    """Yield mistakes that the SDK does not report, or not with the name of the field."""
    for name, value in fields.items():
        if name == _KEYS:
            names = value or () if isinstance(value, list | None) else [None]
            if not all(isinstance(key, str) for key in names):
                yield f"{name} must be a list of names"
        elif name == _ELSE and value is not None:
            yield f"{name} must be null"
        elif not isinstance(value, str | None) or (name == _ALIAS and value is None):
            yield f"{name[:60]} must be text{'' if name == _ALIAS else ' or null'}"
        elif name.startswith("__") and name not in _OPTIONS:
            yield f"{name[:60]} is not an option{_suggest(name, _OPTIONS)}"
        elif name != _SOURCE and value is not None and not _is_expression(value):
            yield f"{name}: invalid syntax"


def _is_expression(text: str) -> bool:
    try:
        (statement,) = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return isinstance(statement, ast.Expr)


def _find_unused(maps: Json, catalog: Mapping[str, CatalogEntry]) -> Iterator[str]:
    for key, fields in maps.items():
        source = _source(key, fields)
        streams = [name for name in catalog if fnmatch(name, source)]
        if not streams:
            if key != _ELSE:
                yield f"stream {source[:60]} does not exist{_suggest(source, catalog)}"
            continue
        if fields == {}:
            # Meltano drops settings that are null, so a map of nulls becomes empty.
            yield f'the map of {key[:60]} is empty; to hide a field, use "__NULL__"'
        known = {name for stream in streams for name in catalog[stream].schema.properties or {}}
        for name, value in (fields or {}).items():
            twins = [field for field in known if _fold(field) == _fold(name)]
            is_new = name not in known and not name.startswith("__")
            if is_new and (twins or value is None):
                hint = _suggest(name, twins or known)
                yield f"field {key}.{name[:60]} does not exist{hint}; it has no effect"


def _fold(name: str) -> str:
    return name.replace("_", "").replace("-", "").strip().casefold()


def _try_expressions(
    key: str, fields: Json, step: sdk.CustomStreamMap, record: dict[str, Any]
) -> list[str]:
    """Map a sample record and return the errors; simplify those of records from now on."""
    evaluator: Any = step.expr_evaluator
    evaluate_with_sdk, errors = evaluator.eval, list[str]()

    def names_of(expr: str) -> list[str]:
        return [name for name, text in fields.items() if text == expr]

    def place(expr: str) -> str:
        return f"{key}.{', '.join(names_of(expr))}"

    def check(expr: str, previously_parsed: ast.stmt) -> bool:
        nodes = [node for node in ast.walk(previously_parsed) if isinstance(node, ast.Name)]
        bound = {node.id for node in nodes if isinstance(node.ctx, ast.Store)}
        known = {*evaluator.names, *step.functions, *bound}
        # Also in branches that are not evaluated.
        if unknown := [node.id for node in nodes if node.id not in known]:
            hint = _suggest(unknown[0], known)
            errors.append(f"{place(expr)}: unknown name {unknown[0][:60]}{hint}")
            return True
        try:
            _declare(step.transformed_schema["properties"], names_of(expr), evaluate_with_sdk(expr))
        except Exception as error:  # noqa: BLE001 - any other may depend on the values
            if isinstance(error, ZohoVoiceError | InvalidExpression | AttributeError | TypeError):
                errors.append(f"{place(expr)}: {_describe(error)}")
        return True  # no filter ends the check

    def evaluate(expr: str, previously_parsed: ast.stmt) -> object:
        try:
            return evaluate_with_sdk(expr, previously_parsed=previously_parsed)
        except Exception as error:
            message = f"stream_maps: {place(expr)}: {_describe(error)}"
            raise ZohoVoiceError(message) from error

    step.map_config = _Sample(step.map_config)
    step.map_config.missing = "{} not found in stream_map_config"
    evaluator.eval = check
    step.transform(record)
    evaluator.eval = evaluate
    return errors


def _declare(properties: dict[str, Any], names: list[str], value: object) -> None:
    """Declare the type of a value, where the SDK takes its expression for text."""
    kinds = _TYPES.get(type(value), [])
    for name in properties.keys() & names:
        if kinds and not {*kinds} & {*properties[name].get("type", kinds)}:
            properties[name] = {"type": [kinds[0], "null"]}


class _Sample(dict[str, Any]):
    """A sample of an object; `missing` is the error for other properties, if it has none."""

    missing = "unknown field {}"

    def __missing__(self, key: str) -> Any:  # noqa: ANN401
        if not self.missing:
            raise LookupError(key)  # the evaluator takes a `KeyError` for an unknown attribute
        raise ZohoVoiceError(self.missing.format(key[:60]) + _suggest(key, self))


def _sample(schema: Json) -> Any:  # noqa: ANN401 - a value of any type
    kinds = schema.get("type", "string")
    if "object" in kinds:
        members = schema.get("properties", {})
        found = _Sample({name: _sample(member) for name, member in members.items()})
        found.missing = found.missing if members else ""
        return found
    if "array" in kinds:
        return [_sample(schema["items"])]
    number = {"integer": 1, "number": 1.5, "boolean": True}
    return next((number[kind] for kind in kinds if kind in number), "2025-01-01T00:00:00+00:00")


def _describe(error: Exception) -> str:
    """Describe an error without the expression or a value, which may be secret or personal."""
    if isinstance(error, ZohoVoiceError):
        return str(error)
    if isinstance(error, AttributeDoesNotExist):
        return f"unknown attribute {str(error.attr)[:60]} of a value, which may be null"
    if isinstance(error, InvalidExpression):
        return f"unsupported expression ({type(error).__name__})"
    return f"{type(error).__name__}; check the types of the values, each may be null"
