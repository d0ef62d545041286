-- Holds a request while its pool has no usable server, for at most `limit` milliseconds. HAProxy alone would answer
-- 503 at once, although a single replica that is being replaced is back within seconds. A worker that is told to leave
-- lets go: its pool will not change any more.

local POLL_MS = 20
-- All held requests together look at most about this often, so that thousands of them cost no more than a few.
local LOOKS_PER_MS = 5

local function now_ms()
    local now = core.now()
    return now.sec * 1000 + now.usec // 1000
end

local function leaving(txn)
    local stopping = txn.f:stopping()
    return stopping == true or stopping == 1
end

core.register_action("hold", { "http-req" }, function(txn, pool, limit)
    local deadline = now_ms() + tonumber(limit)
    while txn.f:nbsrv(pool) == 0 and not leaving(txn) and now_ms() < deadline do
        core.msleep(math.max(POLL_MS, txn.f:fe_conn() // LOOKS_PER_MS))
    end
end, 2)
