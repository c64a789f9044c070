{#- Return a loaded column as JSON, or null if there is no such column. -#}
{% macro as_json(column) %}
    {{- return(adapter.dispatch('as_json', 'zoho_voice')(column)) -}}
{% endmacro %}


{% macro default__as_json(column) -%}
    cast({{ column.quoted if column else 'null' }} as json)
{%- endmacro %}


{#- target-postgres stores arrays of objects as jsonb[]. -#}
{% macro postgres__as_json(column) -%}
    {%- if column and column.data_type == 'ARRAY' -%}
        to_jsonb({{ column.quoted }})
    {%- else -%}
        cast({{ column.quoted if column else 'null' }} as jsonb)
    {%- endif -%}
{%- endmacro %}


{% macro snowflake__as_json(column) -%}
    {{ column.quoted if column else 'cast(null as variant)' }}
{%- endmacro %}


{#- Return a member of a JSON object as text; null if the object or the member is missing. -#}
{% macro json_text(object, member) %}
    {{- return(adapter.dispatch('json_text', 'zoho_voice')(object, member)) -}}
{% endmacro %}


{% macro default__json_text(object, member) -%}
    json_extract_string({{ object }}, '$.{{ member }}')
{%- endmacro %}


{% macro postgres__json_text(object, member) -%}
    ({{ object }} ->> '{{ member }}')
{%- endmacro %}


{% macro snowflake__json_text(object, member) -%}
    cast({{ object }}:{{ member }} as varchar)
{%- endmacro %}


{#- Select the elements of a JSON array: one row each, with `position` (from 1) and `element`. -#}
{% macro unnest_json(relation, keys, array) %}
    {{- return(adapter.dispatch('unnest_json', 'zoho_voice')(relation, keys, array)) -}}
{% endmacro %}


{% macro default__unnest_json(relation, keys, array) %}
    select {{ keys | join(', ') }}, position, json_extract({{ array }}, position - 1) as element
    from {{ relation }}
    cross join unnest(range(1, cast(json_array_length({{ array }}) as bigint) + 1)) as positions (position)
{% endmacro %}


{% macro postgres__unnest_json(relation, keys, array) %}
    select {{ keys | join(', ') }}, position, element
    from {{ relation }}
    cross join lateral jsonb_array_elements(
        case when jsonb_typeof({{ array }}) = 'array' then {{ array }} else '[]' end
    ) with ordinality as elements (element, position)
{% endmacro %}


{% macro snowflake__unnest_json(relation, keys, array) %}
    select {{ keys | join(', ') }}, elements.index + 1 as position, elements.value as element
    from {{ relation }}, lateral flatten(input => {{ array }}) as elements
{% endmacro %}
