with call_agents as (
    {{ zoho_voice.read_stream('call_agents', ['agent_id', 'logid'], {
        'agent_id': 'string',
        'logid': 'string',
        'start_time': 'timestamp',
    }) }}
)

select
    agent_id,
    logid as call_id,
    start_time as call_started_at
from call_agents
