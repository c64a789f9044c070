with calls as (
    select
        *,
        answered_at is not null and coalesce(call_type, '') <> 'missed' as is_answered,
        -- Bridged and forwarded calls have both directions: compare the customer's number.
        case
            when call_type = 'outgoing' then 'outgoing'
            when call_type in ('incoming', 'missed') then 'incoming'
            when caller_number = customer_number then 'incoming'
            when called_number = customer_number then 'outgoing'
        end as direction
    from {{ ref('stg_zoho_voice__calls') }}
),

recordings as (
    select
        call_id,
        min(case when kind = 'recording' then uri end) as recording_uri,
        min(case when kind = 'voicemail' then uri end) as voicemail_uri,
        {{ zoho_voice.count_if("kind = 'recording'") }} as recording_count,
        {{ zoho_voice.count_if("kind = 'voicemail'") }} as voicemail_count
    from {{ ref('stg_zoho_voice__recordings') }}
    group by call_id
),

transcripts as (
    select
        call_id,
        {{ dbt.listagg('transcript', "' '", 'order by kind') }} as transcript
    from {{ ref('stg_zoho_voice__transcripts') }}
    where transcript is not null
    group by call_id
),

queues as (
    select
        call_queues.call_id,
        count(*) as queue_count,
        min(call_queues.queue_id) as queue_id,
        {{ dbt.listagg(
            'coalesce(queues.queue_name, call_queues.queue_id)', "', '", 'order by call_queues.queue_id'
        ) }} as queue_name
    from {{ ref('stg_zoho_voice__call_queues') }} as call_queues
    left join {{ ref('stg_zoho_voice__queues') }} as queues
        on call_queues.queue_id = queues.queue_id
    group by call_queues.call_id
),

-- Of several agents, it is not known which one had the call.
single_agents as (
    select call_id, min(agent_id) as agent_id
    from {{ ref('stg_zoho_voice__call_agents') }}
    group by call_id
    having count(*) = 1
),

-- A call has only the display name of its agent, and two users may have the same name.
named_agents as (
    select user_name, min(agent_id) as agent_id
    from {{ ref('stg_zoho_voice__users') }}
    where agent_id is not null
    group by user_name
    having count(*) = 1
),

with_agent as (
    select
        calls.*,
        coalesce(single_agents.agent_id, named_agents.agent_id) as agent_id
    from calls
    left join single_agents on calls.call_id = single_agents.call_id
    left join named_agents on calls.agent_name = named_agents.user_name
),

measured as (
    select
        *,
        {{ zoho_voice.seconds_between(
            'started_at', 'case when is_answered then answered_at else ended_at end'
        ) }} as waiting_seconds,
        case
            when not is_answered then 0
            else coalesce(
                {{ zoho_voice.seconds_between('answered_at', 'ended_at') }}, duration_seconds
            )
        end as talk_seconds
    from with_agent
)

select
    calls.call_id,
    calls.call_type,
    calls.direction,
    calls.started_at,
    calls.started_at_local,
    calls.call_date,
    calls.call_hour,
    calls.answered_at,
    calls.ended_at,
    calls.is_answered,
    not calls.is_answered and coalesce(calls.direction = 'incoming', false) as is_missed,
    case
        when calls.direction = 'incoming'
            then
                calls.is_answered
                and calls.waiting_seconds <= {{ var('zoho_voice_service_level_seconds') }}
    end as is_within_service_level,
    calls.waiting_seconds,
    calls.talk_seconds,
    calls.customer_number,
    calls.contact_name,
    calls.company_number,
    calls.number_id,
    numbers.number_name,
    calls.agent_id,
    users.user_id,
    coalesce(calls.agent_name, users.user_name) as agent_name,
    users.email as agent_email,
    calls.department_name,
    queues.queue_id,
    queues.queue_name,
    coalesce(queues.queue_count, 0) as queue_count,
    calls.recording_filename is not null or coalesce(recordings.recording_count, 0) > 0
        as has_recording,
    calls.recording_filename,
    calls.recording_seconds,
    recordings.recording_uri,
    calls.voicemail_filename is not null or coalesce(recordings.voicemail_count, 0) > 0
        as has_voicemail,
    calls.voicemail_filename,
    calls.voicemail_seconds,
    recordings.voicemail_uri,
    calls.is_voicemail_read,
    transcripts.transcript is not null as has_transcript,
    transcripts.transcript,
    calls.rating,
    calls.credits,
    calls.hangup_cause,
    calls.disconnected_by,
    calls.is_outside_business_hours,
    calls.is_blocked,
    coalesce(calls.is_test_call, false) as is_test_call
from measured as calls
left join {{ ref('stg_zoho_voice__numbers') }} as numbers on calls.number_id = numbers.number_id
left join {{ ref('stg_zoho_voice__users') }} as users on calls.agent_id = users.agent_id
left join queues on calls.call_id = queues.call_id
left join recordings on calls.call_id = recordings.call_id
left join transcripts on calls.call_id = transcripts.call_id
