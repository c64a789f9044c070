with calls as (
    select *
    from {{ ref('calls') }}
    where not is_test_call and customer_number is not null
),

missed as (
    select
        *,
        {{ dbt.dateadd('hour', var('zoho_voice_callback_hours'), 'started_at') }} as callback_due_at
    from calls
    where is_missed
)

select
    missed.call_id,
    missed.started_at,
    missed.started_at_local,
    missed.call_date,
    missed.callback_due_at,
    missed.customer_number,
    missed.contact_name,
    missed.company_number,
    missed.number_name,
    missed.agent_name,
    missed.department_name,
    missed.queue_name,
    missed.waiting_seconds,
    missed.has_voicemail,
    missed.voicemail_uri,
    missed.is_voicemail_read,
    missed.is_outside_business_hours
from missed
-- Exclude callers who were called back, or whose later call was answered.
where not exists (
    select 1
    from calls as later
    where
        later.customer_number = missed.customer_number
        and later.started_at > missed.started_at
        and later.started_at <= missed.callback_due_at
        and (later.direction = 'outgoing' or later.is_answered)
)
