with call_queues as (
    {{ zoho_voice.read_stream('call_queues', ['queue_id', 'logid'], {
        'queue_id': 'string',
        'logid': 'string',
        'start_time': 'timestamp',
    }) }}
)

select
    queue_id,
    logid as call_id,
    start_time as call_started_at
from call_queues
