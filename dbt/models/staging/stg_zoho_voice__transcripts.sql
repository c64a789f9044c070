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
),

texts as (
    select
        call_id,
        kind,
        {{ dbt.listagg('segment_text', "' '", 'order by segment_position') }} as transcript
    from {{ ref('stg_zoho_voice__transcript_segments') }}
    where segment_text is not null
    group by call_id, kind
)

select
    transcripts.logid as call_id,
    transcripts.kind,
    transcripts.start_time as call_started_at,
    transcripts.provider,
    texts.transcript,
    {{ zoho_voice.json_text('transcripts.analytics', 'summary') }} as summary,
    {{ zoho_voice.json_text('transcripts.analytics', 'sentiment') }} as sentiment,
    transcripts.analytics,
    transcripts.raw as raw_transcript,
    transcripts.error as transcript_error
from transcripts
left join texts
    on transcripts.logid = texts.call_id and transcripts.kind = texts.kind
