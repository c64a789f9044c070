{#-
  Select the newest row of each key of a stream, with every column typed.

  Columns that are missing in the table are null, because a field may be deselected. A stream that
  is not loaded has no rows, so that the marts need no conditions.

  Args:
    stream: Name of the stream and of its table.
    key: Names of its key columns.
    columns: Zoho's names of the columns, each with its type: string, timestamp, bigint, float,
      boolean or json. They are selected in lower case.
-#}
{% macro read_stream(stream, key, columns) %}
    {%- set is_loaded = stream == 'call_logs' or var('zoho_voice_using_' ~ stream) -%}
    {%- set found = zoho_voice.columns_of(stream) if is_loaded else {} -%}
    select
    {%- for name, type in columns.items() %}
        {{ zoho_voice.typed(found.get(name | lower), type) }} as {{ name | lower }}
        {{- "," if not loop.last }}
    {%- endfor %}
    {%- if is_loaded %}
    from (
        select
            *,
            row_number() over (
                partition by
                {%- for name in key %} {{ zoho_voice.quoted(found.get(name | lower), name) }}
                {{- "," if not loop.last }}
                {%- endfor %}
                order by
                {%- for name in ['_sdc_extracted_at', '_sdc_sequence'] if name in found %}
                    {{ found[name].quoted }} desc nulls last,
                {%- endfor %}
                    1
            ) as zoho_voice_row_number
        from {{ source('zoho_voice', stream) }}
    ) as loaded
    where zoho_voice_row_number = 1
    {%- else %}
    where 1 = 0
    {%- endif %}
{% endmacro %}


{#- Return the columns of a stream's table by their names in lower case. -#}
{% macro columns_of(stream) %}
    {%- set relation = source('zoho_voice', stream) -%}
    {%- set found = {} -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation) -%}
            {%- do found.update({column.name | lower: column}) -%}
        {%- endfor -%}
        {%- if not found -%}
            {%- do exceptions.raise_compiler_error(
                "There is no table " ~ relation ~ ". Check the variable zoho_voice_schema"
                ~ (", or set zoho_voice_using_" ~ stream ~ " to false." if stream != 'call_logs' else ".")
            ) -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(found) }}
{% endmacro %}


{% macro quoted(column, name) %}
    {{- return(column.quoted if column else name) -}}
{% endmacro %}


{% macro typed(column, type) %}
    {%- if type == 'json' -%}
        {{ zoho_voice.as_json(column) }}
    {%- elif not column -%}
        cast(null as {{ zoho_voice.type_of(type) }})
    {%- elif type == 'timestamp' -%}
        {{ zoho_voice.as_utc(column) }}
    {%- elif type == 'string' -%}
        nullif(cast({{ column.quoted }} as {{ dbt.type_string() }}), '')
    {%- else -%}
        cast({{ column.quoted }} as {{ zoho_voice.type_of(type) }})
    {%- endif -%}
{% endmacro %}


{% macro type_of(type) %}
    {%- set types = {
        'string': dbt.type_string(),
        'timestamp': dbt.type_timestamp(),
        'bigint': dbt.type_bigint(),
        'float': 'double precision',
        'boolean': dbt.type_boolean(),
    } -%}
    {{- return(types[type]) -}}
{% endmacro %}
