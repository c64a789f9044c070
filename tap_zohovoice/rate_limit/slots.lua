-- Slots and lockouts of one OAuth client in one hash, so that a server loses all of them or none:
--   run_id                       the server that wrote the rest
--   since                        when that server was used for the first time
--   <URL>/lock                   when a lockout was reported, and how long it lasted from then on
--   <URL>/taken/<token>          when a slot was acquired
--   <URL>/answered/<token>       when it was released
-- Times are seconds of the server's clock, the only one that machines share.

local key, request = KEYS[1], cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000

local function put(field, ...)
  local times = {}
  for i, time in ipairs({...}) do times[i] = string.format('%.6f', time) end
  redis.call('HSET', key, field, table.concat(times, ' '))
end

local function lockout(text)
  local since, seconds = string.match(text or '', '^(%S+) (%S+)$')
  if not since then return 0 end
  -- A time in the future was written before the clock was set back: it counts from now on.
  local left = math.min(since, now) + seconds - now
  return left <= request.max_lockout and left or 0
end

local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
if redis.call('HGET', key, 'run_id') ~= run_id or tonumber(redis.call('HGET', key, 'since')) > now then
  redis.call('HSET', key, 'run_id', run_id)
  put('since', now)
end
local wanted_url = request.url
if request.lockout > 0 then
  -- A shorter lockout must not end a longer one.
  local left = lockout(redis.call('HGET', key, wanted_url .. '/lock'))
  put(wanted_url .. '/lock', now, math.max(request.lockout, left))
end
for _, slot in ipairs(request.answered) do
  local token, age = unpack(slot)
  redis.call('HDEL', key, wanted_url .. '/taken/' .. token)
  put(wanted_url .. '/answered/' .. token, now - age)
end
if not request.wanted then return {'noted', 0} end

local ends, locked = {}, 0
local stored = redis.call('HGETALL', key)
for i = 1, #stored, 2 do
  local field, value = stored[i], stored[i + 1]
  local url, kind = string.match(field, '^(%w+)/(%l+)')
  if kind == 'lock' then
    local left = lockout(value)
    if left > 0 then put(field, now, left) else redis.call('HDEL', key, field) end
    if url == wanted_url then locked = left end
  elseif kind then
    local time = math.min(value, now)
    if time < tonumber(value) then put(field, time) end
    -- A slot that was never released belongs to a request in flight, or to a killed process.
    if kind == 'taken' then time = time + request.timeout end
    if time + request.seconds <= now then
      redis.call('HDEL', key, field)
    elseif url == wanted_url then
      table.insert(ends, time + request.seconds)
    end
  end
end

local function wait(reason, seconds) return {reason, math.ceil(seconds * 1000000)} end

-- After a restart, the server may have lost entries.
local forgotten = math.min(redis.call('HGET', key, 'since'), now) + request.seconds - now
if locked > 0 and locked >= forgotten then return wait('locked', locked) end
if forgotten > 0 then return wait('forgotten', forgotten) end
local field = wanted_url .. '/taken/' .. request.wanted
if redis.call('HEXISTS', key, field) == 0 then -- otherwise the reply to an earlier call was lost
  if #ends >= request.slots then
    table.sort(ends)
    return wait('limited', ends[#ends - request.slots + 1] - now)
  end
  put(field, now)
end
return {'acquired', 0}
