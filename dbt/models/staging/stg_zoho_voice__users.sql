with users as (
    {{ zoho_voice.read_stream('users', ['userid'], {
        'userid': 'string',
        'agentId': 'string',
        'name': 'string',
        'emailid': 'string',
        'extension': 'string',
        'status': 'string',
        'zvtRoleName': 'string',
        'departmentId': 'string',
        'departmentName': 'string',
        'timezone': 'string',
        'lastActiveTime': 'timestamp',
    }) }}
)

select
    userid as user_id,
    agentid as agent_id,
    name as user_name,
    emailid as email,
    extension,
    case status when '1' then 'active' when '2' then 'inactive' when '3' then 'pending' else status end
        as status,
    lower(zvtrolename) as role_name,
    departmentid as department_id,
    departmentname as department_name,
    timezone as time_zone,
    lastactivetime as last_active_at
from users
