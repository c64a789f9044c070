with transcripts as (
    {{ zoho_voice.read_stream('transcripts', ['logid', 'kind'], {
        'logid': 'string',
        'kind': 'string',
        'segments': 'json',
    }) }}
),

segments as (
    {{ zoho_voice.unnest_json('transcripts', ['logid', 'kind'], 'segments') }}
)

select
    logid as call_id,
    kind,
    position as segment_position,
    {{ zoho_voice.json_text('element', 'speaker') }} as speaker,
    {{ zoho_voice.json_text('element', 'text') }} as segment_text
from segments
