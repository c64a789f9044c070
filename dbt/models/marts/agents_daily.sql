{%- set is_offered = "calls.direction = 'incoming'" -%}
{%- set is_outgoing = "calls.direction = 'outgoing'" -%}
{%- set is_own = "agent_calls.is_answered" -%}
with calls as (
    select *
    from {{ ref('calls') }}
    where not is_test_call
),

agent_calls as (
    -- The agent in the call itself ...
    select
        call_id,
        agent_id,
        agent_name,
        is_answered
    from calls
    where agent_id is not null or agent_name is not null

    union all

    -- ... and the others for whom Zoho Voice lists it. If the id of the agent in the call is not
    -- known, these are left out, because one of them may be the same agent.
    select
        calls.call_id,
        call_agents.agent_id,
        users.user_name as agent_name,
        false as is_answered
    from {{ ref('stg_zoho_voice__call_agents') }} as call_agents
    inner join calls on call_agents.call_id = calls.call_id
    left join {{ ref('stg_zoho_voice__users') }} as users on call_agents.agent_id = users.agent_id
    where coalesce(call_agents.agent_id <> calls.agent_id, calls.agent_name is null)
)

select
    calls.call_date,
    coalesce(agent_calls.agent_id, agent_calls.agent_name) as agent_key,
    min(agent_calls.agent_id) as agent_id,
    min(agent_calls.agent_name) as agent_name,
    {{ zoho_voice.count_if(is_offered) }} as offered_calls,
    {{ zoho_voice.count_if(is_offered ~ " and " ~ is_own) }} as answered_calls,
    {{ zoho_voice.count_if("calls.is_missed") }} as missed_calls,
    {{ zoho_voice.count_if(is_offered ~ " and calls.is_answered and not " ~ is_own) }}
        as answered_by_others,
    {{ zoho_voice.count_if("calls.is_within_service_level and " ~ is_own) }}
        as calls_within_service_level,
    {{ zoho_voice.share("calls.is_within_service_level and " ~ is_own, is_offered) }}
        as service_level,
    {{ zoho_voice.count_if(is_outgoing) }} as outgoing_calls,
    {{ zoho_voice.count_if(is_outgoing ~ " and " ~ is_own) }} as connected_calls,
    cast(sum(case when {{ is_own }} then calls.talk_seconds else 0 end) as {{ dbt.type_bigint() }})
        as talk_seconds,
    {{ zoho_voice.average_if("calls.talk_seconds", is_own) }} as average_talk_seconds
from agent_calls
inner join calls on agent_calls.call_id = calls.call_id
group by calls.call_date, coalesce(agent_calls.agent_id, agent_calls.agent_name)
