with numbers as (
    {{ zoho_voice.read_stream('numbers', ['numberId'], {
        'numberId': 'string',
        'number': 'string',
        'displayName': 'string',
        'isActive': 'boolean',
    }) }}
)

select
    numberid as number_id,
    number as company_number,
    coalesce(displayname, number) as number_name,
    isactive as is_active
from numbers
