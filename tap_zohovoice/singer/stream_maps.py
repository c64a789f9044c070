"""Stream maps of the SDK: validation before any request, and errors without tracebacks."""

import ast
import copy
import difflib
import logging
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from typing import Any

from simpleeval import AttributeDoesNotExist, InvalidExpression
from singer_sdk import mapper as sdk
from singer_sdk.exceptions import ConfigValidationError, MappingError, StreamMapConfigError
from singer_sdk.singerlib import Catalog
from singer_sdk.singerlib.catalog import CatalogEntry

from tap_zohovoice.exceptions import ZohoVoiceError

Json = Mapping[str, Any]

_OPTIONS = {
    *(sdk.MAPPER_ALIAS_OPTION, sdk.MAPPER_ELSE_OPTION, sdk.MAPPER_FILTER_OPTION),
    *(sdk.MAPPER_KEY_PROPERTIES_OPTION, sdk.MAPPER_SOURCE_OPTION),
}


def build_mapper(config: Json, catalog: Catalog, logger: logging.Logger) -> sdk.PluginMapper:
    """Validate the stream maps and build the SDK's mapper.

    A map without effect is logged as a warning; a deselected stream with an invalid map has none.

    Raises:
        ConfigValidationError: If a map is invalid; its errors are one line each, without values.
    """
    maps = config.get("stream_maps") or {}
    # The SDK removes options from it.
    given = copy.deepcopy({name: value for name, value in config.items() if value is not None})
    errors: list[str] = []
    try:
        for line in _find_unused(maps, catalog):
            logger.warning("stream_maps: %s", line)
        mapper = sdk.PluginMapper(plugin_config=given, logger=logger)
        for name, entry in catalog.items():
            found = [*_register(mapper, name, entry, maps)]
            if entry.metadata.resolve_selection()[()]:
                errors += found
            elif found:
                schema = entry.schema.to_dict()
                mapper.stream_maps[name] = [sdk.RemoveRecordTransform(name, schema, None, None)]
    except MappingError as error:
        errors.append(str(error))
    if errors:
        lines = [f"stream_maps: {error}" for error in dict.fromkeys(errors)]
        message = "Stream maps are invalid"
        raise ConfigValidationError(message, errors=lines)
    return mapper


def _register(
    mapper: sdk.PluginMapper, stream: str, entry: CatalogEntry, maps: Json
) -> Iterator[str]:
    """Make the maps of a stream; yield an error for each mistake in them."""
    matching = [
        (key, fields)
        for key, fields in maps.items()
        if isinstance(fields, dict) and fnmatch(stream, _source(key, fields))
    ]
    errors = [f"{key}.{error}" for key, fields in matching for error in _field_errors(fields)]
    yield from errors
    if errors:
        return
    mask, schema = entry.metadata.resolve_selection(), entry.schema.to_dict()
    specs = schema["properties"]
    try:
        if mask[()]:
            mapper.register_raw_streams_from_catalog(Catalog({stream: entry}))
        else:
            mapper.register_raw_stream_schema(stream, schema, entry.key_properties)
    except (MappingError, NotImplementedError, ValueError) as error:
        yield str(error)
        return
    record = {name: _sample(spec) for name, spec in specs.items() if mask["properties", name]}
    copies = [item for item in matching if sdk.MAPPER_SOURCE_OPTION in item[1]]
    # Of several maps of the stream itself, the SDK applies the last one.
    own = [item for item in matching if item not in copies][-1:] or [(stream, {})]
    for (key, fields), step in zip(own + copies, mapper.stream_maps[stream], strict=True):
        if isinstance(step, sdk.CustomStreamMap) and mask[()]:
            yield from _expression_errors(key, fields, step, record)


def _source(key: str, fields: object) -> str:
    """Return the name or pattern of the streams that a map is for."""
    source = fields.get(sdk.MAPPER_SOURCE_OPTION, key) if isinstance(fields, dict) else key
    kinds, problem = "null" if key == sdk.MAPPER_ELSE_OPTION else "an object or null", ""
    if key.startswith("__") and key != sdk.MAPPER_ELSE_OPTION:
        problem = " is not an option"
    elif not _is_null(fields) and (kinds == "null" or not isinstance(fields, dict)):
        problem = f" must be {kinds}"
    elif not isinstance(source, str):
        problem = f".{sdk.MAPPER_SOURCE_OPTION} must be text"
    if problem:  # the SDK would quote the value, which may be secret
        raise StreamMapConfigError(key[:60] + problem)
    return str(source)


def _expressions(fields: Json) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        is_expression = name == sdk.MAPPER_FILTER_OPTION or not name.startswith("__")
        if is_expression and isinstance(value, str) and not _is_null(value):
            yield name, value


def _find_unused(maps: Json, catalog: Mapping[str, CatalogEntry]) -> Iterator[str]:
    for key, fields in maps.items():
        source = _source(key, fields)
        streams = [name for name in catalog if fnmatch(name, source)]
        if not streams and key != sdk.MAPPER_ELSE_OPTION:
            yield f"stream {source[:60]} does not exist{_suggest(source, catalog)}"
        if not streams or not isinstance(fields, dict):
            continue
        if not fields:
            # Under Meltano, which drops settings that are null, a map of nulls arrives so.
            yield f'the map of {key[:60]} is empty; to hide a field, use "__NULL__"'
        known = {name for stream in streams for name in catalog[stream].schema.properties or {}}
        for name, value in fields.items():
            twins = [field for field in known if _fold(field) == _fold(name)]
            is_new = name not in known and not name.startswith("__")
            if is_new and (twins or _is_null(value)):
                hint = _suggest(name, twins or known)
                yield f"field {key}.{name[:60]} does not exist{hint}; it has no effect"


def _is_null(value: object) -> bool:
    return value is None or value == sdk.NULL_STRING


def _fold(name: str) -> str:
    return name.replace("_", "").replace("-", "").strip().casefold()


def _suggest(name: str, known: Any) -> str:  # noqa: ANN401 - names of any collection
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]}?" if near else ""


def _field_errors(fields: Json) -> Iterator[str]:
    """Yield mistakes that the SDK does not report, or not with the name of the field."""
    for name, value in fields.items():
        if name == sdk.MAPPER_KEY_PROPERTIES_OPTION:
            names = value or () if isinstance(value, list | None) else [None]
            if not all(isinstance(key, str) for key in names):
                yield f"{name} must be a list of names"
        elif name == sdk.MAPPER_ELSE_OPTION and not _is_null(value):
            yield f"{name} must be null"
        elif not isinstance(value, str | None):
            yield f"{name[:60]} must be text or null"
        elif name.startswith("__") and name not in _OPTIONS:
            yield f"{name[:60]} is not an option{_suggest(name, _OPTIONS)}"
        elif name != sdk.MAPPER_SOURCE_OPTION and not _is_null(value) and not _is_expression(value):
            yield f"{name}: invalid syntax"


def _is_expression(text: Any) -> bool:  # noqa: ANN401 - checked to be text
    try:
        (statement,) = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return isinstance(statement, ast.Expr)


def _expression_errors(
    key: str, fields: Json, step: sdk.CustomStreamMap, record: Json
) -> Iterator[str]:
    """Evaluate the expressions of a map for a sample record; from now on, errors are plain."""
    evaluator: Any = step.expr_evaluator
    evaluate_with_sdk = evaluator.eval
    places = {text: f"{key}.{name}" for name, text in _expressions(fields)}

    def evaluate(expr: str, previously_parsed: ast.stmt | None = None) -> object:
        try:
            return evaluate_with_sdk(expr, previously_parsed=previously_parsed)
        except Exception as error:
            message = f"stream_maps: {places[expr]}: {_describe(error)}"
            raise ZohoVoiceError(message) from error

    evaluator.eval = evaluate
    names = {**record, "_": record, "record": record, "config": step.map_config or {}}
    names |= {"__stream_name__": step.stream_alias, "__original_stream_name__": step.stream_name}
    if step.fake:
        names["fake"] = step.fake
    for name, text in _expressions(fields):
        evaluator.names = names | ({"self": record[name]} if name in record else {})
        if unknown := _find_unknown(text, evaluator.names, step.functions):
            yield f"{key}.{name}: {unknown}"
            continue
        try:
            evaluator.eval(text)
        except ZohoVoiceError as error:
            # Any other error may depend on the values.
            if isinstance(error.__cause__, InvalidExpression | AttributeError | TypeError):
                yield f"{key}.{name}: {_describe(error.__cause__)}"


def _find_unknown(text: str, names: Json, functions: Json) -> str:
    """Return what is wrong with a name in an expression, in branches that are not taken too."""
    nodes = [*ast.walk(ast.parse(text))]
    bound = {
        node.id for node in nodes if isinstance(node, ast.Name) and type(node.ctx) is ast.Store
    }
    known = {*names, *functions, *bound}
    for node in nodes:
        match node:
            case ast.Name(name) if name not in known:
                return f"unknown name {name[:60]}{_suggest(name, known)}"
            case ast.Attribute(_, key) if hasattr(dict, key):
                continue
            case ast.Subscript(ast.Name(holder), ast.Constant(str(key))) | ast.Attribute(
                ast.Name(holder), key
            ):
                held = names.get(holder)
                if holder == "config" and key not in names["config"]:
                    return f"{key[:60]} not found in stream_map_config"
                if held and isinstance(held, dict) and key not in held:
                    return f"unknown field {key[:60]}{_suggest(key, held)}"
    return ""


class _Open(dict[str, Any]):
    """A sample of an open object, which may have any property, with any value."""

    def __missing__(self, key: str) -> Any:  # noqa: ANN401
        raise LookupError(key)  # the evaluator takes a `KeyError` for an unknown attribute


def _sample(schema: Json) -> Any:  # noqa: ANN401 - a value of any type
    kinds = schema.get("type", "string")
    if "object" in kinds:
        members = schema.get("properties", {})
        return _Open({name: _sample(member) for name, member in members.items()})
    if "array" in kinds:
        return [_sample(schema["items"])]
    number = {"integer": 1, "number": 1.5, "boolean": True}
    return next((number[kind] for kind in kinds if kind in number), "2025-01-01T00:00:00+00:00")


def _describe(error: Exception) -> str:
    """Describe an error without the expression or a value, which may be secret or personal."""
    if isinstance(error, AttributeDoesNotExist):
        return f"unknown attribute {str(error.attr)[:60]} of a value, which may be null"
    if isinstance(error, InvalidExpression):
        return f"unsupported expression ({type(error).__name__})"
    return f"{type(error).__name__}; check the types of the values, each may be null"
