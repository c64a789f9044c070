-- Slots and lockouts of one OAuth client, as JSON in one key, so that a server loses all or none:
--   run_id   the server that wrote the rest
--   since    when that server was used for the first time
--   urls     for each URL:
--     locked, lockout    when a lockout was reported, and how long it lasted from then on
--     taken, answered    when slots were acquired and released, by token
-- Times are seconds of the server's clock, the only one that machines share.

local key, request = KEYS[1], cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local state = cjson.decode(redis.call('GET', key) or '{"urls": {}}')
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
if state.run_id ~= run_id or state.since > now then state.run_id, state.since = run_id, now end
local url = state.urls[request.url] or {locked = now, lockout = 0, taken = {}, answered = {}}
state.urls[request.url] = url

local function reply(outcome, seconds)
  redis.call('SET', key, cjson.encode(state))
  return cjson.encode({outcome, seconds})
end

-- A time in the future was written before the clock was set back: it counts from now on.
local left = math.min(url.locked, now) + url.lockout - now
if left < 0 or left > request.max_lockout then left = 0 end
-- A shorter lockout must not end a longer one.
url.locked, url.lockout = now, math.max(left, request.lockout)
for _, slot in ipairs(request.answered) do
  local token, age = unpack(slot)
  url.taken[token], url.answered[token] = nil, now - age
end
if not request.wanted then return reply('noted', 0) end

local ends = {}
-- A slot that was never released belongs to a request in flight, or to a killed process.
for kind, extra in pairs({taken = request.timeout, answered = 0}) do
  for token, time in pairs(url[kind]) do
    url[kind][token] = math.min(time, now)
    local free = url[kind][token] + extra + request.seconds
    if free > now then table.insert(ends, free) else url[kind][token] = nil end
  end
end

-- After a restart, the server may have lost entries.
local forgotten = state.since + request.seconds - now
if url.lockout > 0 and url.lockout >= forgotten then return reply('locked', url.lockout) end
if forgotten > 0 then return reply('forgotten', forgotten) end
if not url.taken[request.wanted] then -- otherwise the reply to an earlier call was lost
  if #ends >= request.slots then
    table.sort(ends)
    return reply('limited', ends[#ends - request.slots + 1] - now)
  end
  url.taken[request.wanted] = now
end
return reply('acquired', 0)
