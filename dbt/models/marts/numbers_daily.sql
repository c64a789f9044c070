select
    call_date,
    coalesce(number_id, company_number, 'unknown') as number_key,
    min(company_number) as company_number,
    min(number_name) as number_name,
    {{ zoho_voice.call_measures() }}
from {{ ref('calls') }}
where not is_test_call
group by call_date, coalesce(number_id, company_number, 'unknown')
