with recordings as (
    {{ zoho_voice.read_stream('recordings', ['recording_filename'], {
        'recording_filename': 'string',
        'logid': 'string',
        'kind': 'string',
        'start_time': 'timestamp',
        'duration_seconds': 'float',
        'size': 'bigint',
        'content_type': 'string',
        'uri': 'string',
        'bytes': 'bigint',
        'sha256': 'string',
        'downloaded_at': 'timestamp',
        'error': 'string',
    }) }}
)

select
    recording_filename,
    logid as call_id,
    kind,
    start_time as call_started_at,
    duration_seconds,
    content_type,
    coalesce(bytes, size) as size_bytes,
    uri,
    sha256,
    downloaded_at,
    error as download_error
from recordings
