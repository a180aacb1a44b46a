-- One request, again and again, from BODY and HEADERS ("Name: value" lines); answers are checked
-- for MARK. Prints one line of JSON at the end, in the shape of `Load`.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  wrong = 0
  mark = os.getenv("MARK")
  local headers = {}
  for name, value in os.getenv("HEADERS"):gmatch("([^:\n]+): ([^\n]*)") do
    headers[name] = value
  end
  asked = wrk.format("POST", nil, headers, os.getenv("BODY"))
end

function request()
  return asked
end

function response(status, _, body)
  if status ~= 200 or not body:find(mark, 1, true) then
    wrong = wrong + 1
  end
end

function done(summary, latency)
  local bad = 0
  for _, thread in ipairs(threads) do
    bad = bad + thread:get("wrong")
  end
  local broken = summary.errors
  io.write(string.format(
    '\nRESULT {"calls": %d, "errors": %d, "seconds": %f, "p50_ms": %f}\n',
    summary.requests - bad,
    bad + broken.connect + broken.read + broken.write + broken.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1000))
end
