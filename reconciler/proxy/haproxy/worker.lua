-- What all that holds a request asks of the worker that it runs in. Loaded first, in each Lua state.

function now_ms()
    local now = core.now()
    return now.sec * 1000 + now.usec // 1000
end

function leaving(txn)
    local stopping = txn.f:stopping()
    return stopping == true or stopping == 1
end
