"""Stream maps of the SDK: validation before any request, and errors without tracebacks."""

from __future__ import annotations

import ast
import copy
import difflib
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from simpleeval import AttributeDoesNotExist, FunctionNotDefined, InvalidExpression, NameNotDefined
from singer_sdk.exceptions import ConfigValidationError, MappingError
from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
    NULL_STRING,
    CustomStreamMap,
    PluginMapper,
    RemoveRecordTransform,
)
from singer_sdk.singerlib import Catalog, MetadataMapping

from tap_zohovoice.exceptions import ZohoVoiceError

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Mapping

    from singer_sdk.singerlib.catalog import CatalogEntry

    Json = Mapping[str, Any]

_RECORD_NAMES = ("_", "record")
_NAMES = {*_RECORD_NAMES, "config", "__stream_name__", "__original_stream_name__"}
_OPTIONS = {
    *(MAPPER_ALIAS_OPTION, MAPPER_ELSE_OPTION, MAPPER_FILTER_OPTION),
    *(MAPPER_KEY_PROPERTIES_OPTION, MAPPER_SOURCE_OPTION),
}
_INVALID = "Stream maps are invalid"


def build_mapper(config: Json, catalog: Catalog, logger: logging.Logger) -> PluginMapper:
    """Validate the stream maps and build the SDK's mapper.

    Maps of deselected streams are not validated; one without effect is logged as a warning.

    Raises:
        ConfigValidationError: If a map is invalid; its errors are one line each, without values.
    """
    config = copy.deepcopy(dict(config))  # the SDK removes options from it
    config = {name: value for name, value in config.items() if value is not None}
    maps = config.get("stream_maps") or {}
    selected = {name: entry for name, entry in catalog.items() if _is_selected(entry)}
    for line in _find_unused(maps, catalog):
        logger.warning(line)
    if errors := [*_structure_errors(maps, selected)]:
        raise ConfigValidationError(_INVALID, errors=errors)
    try:
        mapper = PluginMapper(plugin_config=config, logger=logger)
        mapper.register_raw_streams_from_catalog(Catalog(selected))
    except (MappingError, NotImplementedError, ValueError) as error:
        raise ConfigValidationError(_INVALID, errors=[f"stream_maps: {error}"]) from error
    for name in catalog.keys() - selected.keys():
        _register_deselected(mapper, name, catalog[name])
    for source, stream, fields in _matches(maps, selected):
        declared = _selected_properties(selected[stream])
        is_copy = MAPPER_SOURCE_OPTION in fields
        first, *copies = mapper.stream_maps[stream]
        for step in copies if is_copy else [first]:
            is_own = not is_copy or step.stream_alias == source
            if is_own and isinstance(step, CustomStreamMap):
                errors += _expression_errors(source, fields, step, declared)
                evaluator: Any = _Evaluator(step, source, fields, declared)
                step.expr_evaluator = evaluator
    if errors:
        raise ConfigValidationError(_INVALID, errors=[*dict.fromkeys(errors)])
    return mapper


def _is_selected(entry: CatalogEntry) -> bool:
    # Of the stream alone: the selection of its fields takes far longer.
    root = MetadataMapping({key: value for key, value in entry.metadata.items() if not key})
    return bool(root.resolve_selection()[()])


def _selected_properties(entry: CatalogEntry) -> dict[str, Any]:
    mask = entry.metadata.resolve_selection()
    properties = entry.schema.to_dict().get("properties", {})
    return {name: spec for name, spec in properties.items() if mask["properties", name]}


def _register_deselected(mapper: PluginMapper, name: str, entry: CatalogEntry) -> None:
    schema = entry.schema.to_dict()
    try:
        mapper.register_raw_stream_schema(name, schema, entry.key_properties)
    except (MappingError, NotImplementedError, ValueError):
        mapper.stream_maps[name] = [RemoveRecordTransform(name, schema, None, None)]


def _matches(maps: Json, catalog: Mapping[str, CatalogEntry]) -> Iterator[tuple[str, str, Json]]:
    """Yield the key of each map with each stream that it applies to, and its fields."""
    for key, fields in maps.items():
        if isinstance(fields, dict):
            pattern = str(fields.get(MAPPER_SOURCE_OPTION, key))
            yield from ((key, name, fields) for name in catalog if fnmatch(name, pattern))


def _expressions(fields: Json) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        is_expression = name == MAPPER_FILTER_OPTION or not name.startswith("__")
        if is_expression and isinstance(value, str) and value != NULL_STRING:
            yield name, value


def _find_unused(maps: Json, catalog: Mapping[str, CatalogEntry]) -> Iterator[str]:
    for key, fields in maps.items():
        if key == MAPPER_ELSE_OPTION:
            continue
        source = str(fields.get(MAPPER_SOURCE_OPTION, key) if isinstance(fields, dict) else key)
        streams = [name for name in catalog if fnmatch(name, source)]
        if not streams:
            yield f"stream_maps: stream {source[:60]} does not exist{_suggest(source, catalog)}"
            continue
        if fields == {}:
            # Under Meltano, which drops settings that are null, a map of nulls arrives so.
            yield f'stream_maps: the map of {key[:60]} is empty; to hide a field, use "__NULL__"'
        known = {name for stream in streams for name in catalog[stream].schema.properties or {}}
        for name, value in fields.items() if isinstance(fields, dict) else ():
            if name in known or name.startswith("__"):
                continue
            twins = [field for field in known if _fold(field) == _fold(name)]
            if twins or not _is_kept(value):
                hint = _suggest(name, twins or known)
                yield f"stream_maps: field {key}.{name[:60]} does not exist{hint}; it has no effect"


def _is_kept(value: object) -> bool:
    return value is not None and value != NULL_STRING


def _fold(name: str) -> str:
    return name.replace("_", "").replace("-", "").strip().casefold()


def _suggest(name: str, known: Any) -> str:  # noqa: ANN401 - names of any collection
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]}?" if near else ""


def _structure_errors(maps: Json, catalog: Mapping[str, CatalogEntry]) -> Iterator[str]:
    for key, fields in maps.items():
        if key == MAPPER_ELSE_OPTION or not isinstance(fields, dict):
            if _is_kept(fields):
                kinds = "null" if key == MAPPER_ELSE_OPTION else "an object or null"
                yield f"stream_maps: {key[:60]} must be {kinds}"
        elif key.startswith("__"):
            yield f"stream_maps: option {key[:60]} is unsupported"
        elif not isinstance(fields.get(MAPPER_SOURCE_OPTION, key), str):
            yield f"stream_maps: {key[:60]}.{MAPPER_SOURCE_OPTION} must be text"
    for source, fields in {key: fields for key, _, fields in _matches(maps, catalog)}.items():
        yield from _field_errors(source, fields)


def _field_errors(source: str, fields: Json) -> Iterator[str]:
    if _is_kept(fields.get(MAPPER_ELSE_OPTION)):
        yield f"stream_maps: {source}.{MAPPER_ELSE_OPTION} must be null"
    for name, value in fields.items():
        is_list = name == MAPPER_KEY_PROPERTIES_OPTION
        texts = value if isinstance(value, list) and is_list else [value]
        is_one = is_list and isinstance(value, str)
        if is_one or not all(isinstance(text, str | None) for text in texts):
            kind = "a list of names" if is_list else "text or null"
            yield f"stream_maps: {source}.{name[:60]} must be {kind}"
        if name.startswith("__") and name not in _OPTIONS:
            yield f"stream_maps: {source}.{name[:60]} is not an option{_suggest(name, _OPTIONS)}"
    alias = [(MAPPER_ALIAS_OPTION, fields.get(MAPPER_ALIAS_OPTION))]
    for name, text in (*alias, *_expressions(fields)):
        if isinstance(text, str) and not isinstance(_parse(text), ast.Expr):
            yield f"stream_maps: {source}.{name}: invalid syntax"


def _parse(text: str) -> ast.stmt | None:
    """Parse as the SDK does; None if it is not exactly one statement."""
    try:
        (statement,) = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return statement


def _expression_errors(
    source: str, fields: Json, step: CustomStreamMap, declared: Json
) -> Iterator[str]:
    sample = {name: _sample(schema) for name, schema in declared.items()}
    for name, text in _expressions(fields):
        own = {"self"} if name in declared else set()
        names = {*_NAMES, *own, *declared, *step.functions, *(("fake",) if step.fake else ())}
        problem = _find_unknown(text, names, declared, step.map_config or {}) or _dry_run(
            text, {**sample, **({"self": sample[name]} if own else {})}, step
        )
        if problem:
            yield f"stream_maps: {source}.{name}: {problem}"


def _find_unknown(text: str, names: set[str], declared: Json, config: Json) -> str:
    nodes = list(ast.walk(ast.parse(text)))
    bound = {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    for node in nodes:
        if isinstance(node, ast.Name) and node.id not in names | bound:
            return f"unknown name {node.id[:60]}{_suggest(node.id, names)}"
        if not isinstance(node, ast.Subscript | ast.Attribute):
            continue
        holder = node.value.id if isinstance(node.value, ast.Name) else ""
        index = node.slice if isinstance(node, ast.Subscript) else ast.Constant(node.attr)
        key = index.value if isinstance(index, ast.Constant) else None
        is_method = isinstance(node, ast.Attribute) and hasattr(dict, node.attr)
        if not isinstance(key, str) or is_method:
            continue
        if holder == "config" and key not in config:
            return f"{key[:60]} not found in stream_map_config"
        members = declared.get(holder, {}).get("properties")
        fields = declared if holder in _RECORD_NAMES else members or {key: None}
        if key not in fields:
            return f"unknown field {key[:60]}{_suggest(key, fields)}"
    return ""


class _Open(dict[str, str]):
    """A sample of an open object, which has any property."""

    def __missing__(self, key: str) -> str:
        return key


def _sample(schema: Json) -> Any:  # noqa: ANN401 - a value of any type
    kinds = schema["type"]
    if "object" in kinds:
        members = schema.get("properties", {})
        return _Open({name: _sample(member) for name, member in members.items()})
    if "array" in kinds:
        return [_sample(schema["items"])]
    number = {"integer": 1, "number": 1.5, "boolean": True}
    return next((number[kind] for kind in kinds if kind in number), "2025-01-01T00:00:00+00:00")


def _dry_run(text: str, sample: Json, step: CustomStreamMap) -> str:
    """Evaluate an expression for a sample record; errors that depend on values are ignored."""
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    is_constant = used.isdisjoint({*sample, *_RECORD_NAMES})
    names = {"_": sample, "record": sample, "config": step.map_config or {}, "fake": step.fake}
    streams = {"__stream_name__": step.stream_alias, "__original_stream_name__": step.stream_name}
    step.expr_evaluator.names = {**sample, **names, **streams}
    try:
        step.expr_evaluator.eval(text)
    except InvalidExpression as error:
        return _describe(error)
    except (AttributeError, TypeError) as error:
        is_open = any(name in text for name, value in sample.items() if isinstance(value, _Open))
        return "" if (is_open or "[" in text) and not is_constant else _describe(error)
    except Exception as error:  # noqa: BLE001 - any error of a sample value
        return _describe(error) if is_constant else ""
    return ""


def _describe(error: Exception) -> str:
    """Describe an error without the expression or a value, which may be secret or personal."""
    match error:
        case NameNotDefined():
            return f"unknown name {error.name[:60]}"
        case FunctionNotDefined():
            return f"unknown function {str(error.func_name)[:60]}"
        case AttributeDoesNotExist():
            return f"unknown attribute {str(error.attr)[:60]} of a value, which may be null"
        case InvalidExpression():
            return f"unsupported expression ({type(error).__name__})"
    return f"{type(error).__name__}; check the types of the values, each may be null"


class _Evaluator:
    """Evaluator of a stream map whose errors name the stream and the field."""

    def __init__(self, step: CustomStreamMap, source: str, fields: Json, declared: Json) -> None:
        self.names: dict[str, Any] = {}
        self._evaluator = step.expr_evaluator
        self._defaults = dict.fromkeys(declared)
        self._places = {text: f"{source}.{name}" for name, text in _expressions(fields)}

    def eval(self, expr: str, previously_parsed: ast.stmt | None = None) -> object:
        # Rows without a file or transcript lack fields that the schema declares.
        self._evaluator.names = {**self._defaults, **self.names}
        try:
            return self._evaluator.eval(expr, previously_parsed=previously_parsed)
        except Exception as error:
            message = f"stream_maps: {self._places[expr]}: {_describe(error)}"
            raise ZohoVoiceError(message) from error
