select
    call_date,
    {{ zoho_voice.call_measures() }}
from {{ ref('calls') }}
where not is_test_call
group by call_date
