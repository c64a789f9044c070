{#- Return a loaded column as a timestamp without time zone, in UTC. -#}
{% macro as_utc(column) %}
    {{- return(adapter.dispatch('as_utc', 'zoho_voice')(column)) -}}
{% endmacro %}


{% macro default__as_utc(column) %}
    {%- if 'with time zone' in column.data_type | lower -%}
        {{ column.quoted }} at time zone 'UTC'
    {%- else -%}
        cast({{ column.quoted }} as {{ dbt.type_timestamp() }})
    {%- endif -%}
{% endmacro %}


{% macro snowflake__as_utc(column) %}
    {%- if 'ntz' in column.data_type | lower -%}
        {{ column.quoted }}
    {%- else -%}
        cast(convert_timezone('UTC', {{ column.quoted }}) as timestamp_ntz)
    {%- endif -%}
{% endmacro %}


{#- Return a timestamp in UTC as local time of `zoho_voice_time_zone`. -#}
{% macro local_time(timestamp) %}
    {{- return(adapter.dispatch('local_time', 'zoho_voice')(timestamp, var('zoho_voice_time_zone'))) -}}
{% endmacro %}


{% macro default__local_time(timestamp, zone) -%}
    ({{ timestamp }} at time zone 'UTC') at time zone '{{ zone }}'
{%- endmacro %}


{% macro snowflake__local_time(timestamp, zone) -%}
    convert_timezone('UTC', '{{ zone }}', {{ timestamp }})
{%- endmacro %}


{#- Return the seconds between two timestamps: at least 0; null if one is missing. -#}
{% macro seconds_between(first, last) -%}
    {%- set seconds = dbt.datediff(first, last, 'second') -%}
    cast(case when {{ seconds }} < 0 then 0 else {{ seconds }} end as {{ dbt.type_bigint() }})
{%- endmacro %}
