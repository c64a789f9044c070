with transcripts as (
    {{ zoho_voice.read_stream('transcripts', ['logid', 'kind'], {
        'logid': 'string',
        'kind': 'string',
        'start_time': 'timestamp',
        'provider': 'string',
        'analytics': 'json',
        'raw': 'string',
        'error': 'string',
    }) }}
)

select
    logid as call_id,
    kind,
    start_time as call_started_at,
    provider,
    {{ zoho_voice.json_text('analytics', 'summary') }} as summary,
    {{ zoho_voice.json_text('analytics', 'sentiment') }} as sentiment,
    analytics,
    raw as raw_transcript,
    error as transcript_error
from transcripts
