{% macro count_if(condition) -%}
    count(case when {{ condition }} then 1 end)
{%- endmacro %}


{#- Return a share between 0 and 1; null if the whole is 0. -#}
{% macro share(part, whole) -%}
    {{ zoho_voice.rounded(
        "cast(" ~ zoho_voice.count_if(part) ~ " as " ~ dbt.type_numeric() ~ ")"
        ~ " / nullif(" ~ zoho_voice.count_if(whole) ~ ", 0)", 4
    ) }}
{%- endmacro %}


{#- Return the average seconds of the rows that meet a condition. -#}
{% macro average_if(seconds, condition) -%}
    {{ zoho_voice.rounded(
        "avg(case when " ~ condition ~ " then cast(" ~ seconds ~ " as " ~ dbt.type_numeric() ~ ") end)", 1
    ) }}
{%- endmacro %}


{% macro rounded(number, digits) -%}
    cast(round({{ number }}, {{ digits }}) as double precision)
{%- endmacro %}


{#- The measures of calls_daily and numbers_daily. -#}
{% macro call_measures() %}
    {%- set is_offered = "direction = 'incoming'" -%}
    {%- set is_outgoing = "direction = 'outgoing'" -%}
    count(*) as calls,
    {{ zoho_voice.count_if(is_offered) }} as offered_calls,
    {{ zoho_voice.count_if(is_offered ~ " and is_answered") }} as answered_calls,
    {{ zoho_voice.count_if("is_missed") }} as missed_calls,
    {{ zoho_voice.count_if("is_within_service_level") }} as calls_within_service_level,
    {{ zoho_voice.share("is_within_service_level", is_offered) }} as service_level,
    {{ zoho_voice.count_if(is_outgoing) }} as outgoing_calls,
    {{ zoho_voice.count_if(is_outgoing ~ " and is_answered") }} as connected_calls,
    {{ zoho_voice.count_if("has_voicemail") }} as voicemails,
    {{ zoho_voice.count_if("has_recording") }} as recorded_calls,
    count(distinct customer_number) as customers,
    cast(sum(talk_seconds) as {{ dbt.type_bigint() }}) as talk_seconds,
    {{ zoho_voice.average_if("talk_seconds", "is_answered") }} as average_talk_seconds,
    {{ zoho_voice.average_if("waiting_seconds", is_offered ~ " and is_answered") }}
        as average_answer_seconds
{% endmacro %}
