with queues as (
    {{ zoho_voice.read_stream('queues', ['id'], {
        'id': 'string',
        'name': 'string',
        'emailId': 'string',
        'extension': 'string',
        'queueStrategy': 'string',
    }) }}
)

select
    id as queue_id,
    name as queue_name,
    emailid as email,
    extension,
    queuestrategy as strategy
from queues
