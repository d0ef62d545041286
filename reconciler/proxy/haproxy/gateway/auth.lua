-- Who may make requests. `login` checks a name and password (RFC 7617) against the hashes in a map, `ask` asks an auth
-- service; both only decide. `identify` changes the headers of a request on its way to a replica, so that a worker that
-- leaves passes requests on as they came.
--
-- Each thread has its own state, so a password that is being checked keeps no other thread waiting, and a thread computes one
-- hash at a time. A good login is remembered in a table of HAProxy by a keyed digest, so that its hash is computed once.

local users = Map.new("/usr/local/etc/haproxy/maps/users.map", Map._str)
local services = Map.new("/usr/local/etc/haproxy/maps/forward.map", Map._str)
local identities = Map.new("/usr/local/etc/haproxy/maps/identity.map", Map._str)

local INSIDE = "unix@/run/haproxy/inside-" .. (os.getenv("VAULT_PROXY_SLOT") or "0") .. ".sock"
local ASKED = "http://inside"

-- Failed logins of a client in a minute; with more, only remembered logins are let through, and with many more, none: else
-- remembered ones could be guessed. Fewer of bcrypt above CHEAP_COST, which takes a thread seconds.
local MOST_FAILURES = 10
local LEAST_FAILURES = 3
local CHEAP_COST = 9
local MOST_TRIES = 100
-- Different logins of a client that a thread checks, or that wait for that.
local MOST_OF_CLIENT = 3
-- Logins that wait in a thread, how long they do so, and how often they look.
local MOST_WAITING = 64
local WAIT_MS = 10000
local TICK_MS = 5
local LONGEST_PASSWORD = 256
-- A larger body of a refusal is left out: an answer of Lua has to fit into a buffer.
local LONGEST_BODY = 8192

-- Servers that follow CGI take every mark in a name for the same one.
local function folded(name)
    return (name:lower():gsub("[^a-z0-9]", "-"))
end

local function set_of(names)
    local set = {}
    for name in names:gmatch("[^,]+") do
        set[folded(name)] = true
    end
    return set
end

-- Names and passwords

local seed
do
    local random = assert(io.open("/dev/urandom", "rb"))
    seed = random:read(32)
    random:close()
end

-- The key of remembered logins: random, the same in all threads, and of no use to another process.
local function key_of(txn)
    local key = txn:get_var("proc.login_key")
    if key == nil then
        key = txn.c:base64(seed)
        txn:set_var("proc.login_key", key)
    end
    return key
end

-- A request that was given up does not come back, so what it said of itself is only true for so long.
local STALE_MS = 3000
local tickets = {}

-- The tickets of the login that is computed and of those that wait, in their order; and how many are of a client.
local function line_up(client)
    local now, kept, mine = now_ms(), {}, 0
    for _, ticket in ipairs(tickets) do
        if now - ticket.beat < STALE_MS then
            kept[#kept + 1] = ticket
            mine = mine + (ticket.client == client and 1 or 0)
        end
    end
    tickets = kept
    return tickets, mine
end

local function remembered(txn, proof)
    local found = txn.c:in_table(proof, "logins")
    return found == true or found == 1
end

local function most_failures(stored)
    local cost = tonumber(stored:match("^%$2[aby]%$(%d%d)%$") or 0)
    return cost <= CHEAP_COST and MOST_FAILURES or math.max(MOST_FAILURES >> (cost - CHEAP_COST), LEAST_FAILURES)
end

-- Whether a password has a hash; nil for a hash that is none. `beat` is called again and again meanwhile.
local function fits(txn, stored, password, beat)
    local rounds, salt, hash = stored:match("^%$6%$rounds=(%d+)%$([^$]*)%$([^$]+)$")
    if not salt then
        rounds = 5000
        salt, hash = stored:match("^%$6%$([^$]*)%$([^$]+)$")
    end
    if salt then
        return hashes.sha512(txn.c, password, salt, tonumber(rounds), beat) == hash
    end
    local cost, digits = stored:match("^%$2[aby]%$(%d%d)%$([./A-Za-z0-9]+)$")
    return cost and hashes.bcrypt(password, digits:sub(1, 22), tonumber(cost), beat) == digits:sub(23)
end

-- One at a time in this thread: "right", "wrong", or "busy" after too long a time.
local function computed(txn, ticket, stored, password, proof)
    local deadline = now_ms() + WAIT_MS
    while line_up()[1] ~= ticket do
        if now_ms() >= deadline then
            return "busy"
        end
        core.msleep(TICK_MS)
        ticket.beat = now_ms()
        -- Another request with the same name and password may have come first.
        if remembered(txn, proof) then
            return "right"
        end
    end
    local ran, fit = pcall(fits, txn, stored, password, function() ticket.beat = now_ms() end)
    return ran and fit and "right" or "wrong"
end

-- What becomes of a login that is already checked for another request; nil if that is given up.
local function joined(ticket)
    while not ticket.result and now_ms() - ticket.beat < STALE_MS do
        core.msleep(TICK_MS)
    end
    return ticket.result
end

local function checked(txn, client, stored, password, proof)
    local failures = txn:get_var("txn.failures") or 0
    local tries = failures + (txn:get_var("txn.unchecked") or 0)
    if tries < MOST_TRIES and remembered(txn, proof) then
        return "known"
    end
    local line, mine = line_up(client)
    for _, other in ipairs(line) do
        if other.proof == proof then
            return joined(other) or checked(txn, client, stored, password, proof)
        end
    end
    if failures >= most_failures(stored) or mine >= MOST_OF_CLIENT then
        return "often"
    end
    if #line >= MOST_WAITING then
        return "busy"
    end
    local ticket = { client = client, proof = proof, beat = now_ms() }
    line[#line + 1] = ticket
    ticket.result = computed(txn, ticket, stored, password, proof)
    ticket.beat = -STALE_MS
    return ticket.result
end

core.register_action("login", { "http-req" }, function(txn)
    local name, password = txn.f:http_auth_user(), txn.f:http_auth_pass()
    local route = txn:get_var("txn.route") or ""
    if not name or not password then
        return
    end
    -- An unknown name takes as long as a known one.
    local stored = users:lookup(route .. "|" .. txn.c:hex(txn.c:sha2(name, 256)):lower())
    local decoy = not stored
    stored = stored or users:lookup(route .. "|")
    if not stored or #password > LONGEST_PASSWORD then
        txn:set_var("txn.login", "wrong")
        return
    end
    local client = txn:get_var("txn.login_client") or ""
    local login = table.concat({ decoy and "?" or "!", client, stored, name, password }, "\0")
    local proof = txn.c:hex(txn.c:hmac(login, "sha256", key_of(txn)))
    local result = checked(txn, client, stored, password, proof)
    if decoy and (result == "right" or result == "known") then
        result = "wrong"
    end
    txn:set_var("txn.login", result)
    if result == "right" or result == "known" then
        txn:set_var("txn.proof", proof)
        txn:set_var("txn.login_name", name)
        txn:set_priv({ { "Remote-User", name } })
    end
end, 0)

-- Auth services

-- Headers of a client that are none of the auth service's business, or that would change the meaning of its answer.
local KEPT_BACK = set_of(
    "connection,content-length,expect,forwarded,host,keep-alive,proxy,proxy-connection,range,te,trailer,"
        .. "transfer-encoding,upgrade"
)
-- By these the auth service knows the client, even if it has the replica get another one.
local CREDENTIALS = set_of("authorization,cookie")

local function kept_back(name, identity)
    return KEPT_BACK[name] or identity[name] and not CREDENTIALS[name] or name:find("^if%-") or name:find("^x%-forwarded")
        or name:find("^x%-original%-") or name:find("^x%-real%-") or name:find("^x%-vault%-")
end

local function list_of(values)
    local list = {}
    for index = 0, #values do
        list[#list + 1] = values[index]
    end
    return list
end

-- What is asked, and where. By way of the frontend `inside` it goes to the pool of a service, which sets X-Forwarded-*.
local function question(txn, pool, host, identity)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not kept_back(folded(name), identity) then
            headers[name] = list_of(values)
        end
    end
    local about = {
        method = txn.f:method(),
        proto = txn:get_var("txn.scheme"),
        host = txn.f:req_hdr("Host"),
        uri = txn.f:pathq(),
        ["for"] = txn.f:src(),
    }
    local prefix = pool == "~" and "x-forwarded-" or "x-vault-"
    for name, value in pairs(about) do
        headers[prefix .. name] = { tostring(value) }
    end
    headers["x-request-id"] = { txn:get_var("txn.request_id") }
    if pool ~= "~" then
        headers["x-vault-pool"], headers["host"] = { pool }, { host }
    end
    return headers
end

local FRAMING = set_of("connection,content-length,keep-alive,proxy-connection,te,trailer,transfer-encoding,upgrade")

local function refuse(txn, answer)
    local reply = txn:reply({ status = answer.status })
    for name, values in pairs(answer.headers or {}) do
        if not FRAMING[folded(name)] then
            for _, value in ipairs(list_of(values)) do
                reply:add_header(name, value)
            end
        end
    end
    local body = answer.body or ""
    if #body <= LONGEST_BODY and txn.f:method() ~= "HEAD" then
        reply:set_body(body)
    end
    txn:done(reply)
end

core.register_action("ask", { "http-req" }, function(txn)
    local route = txn:get_var("txn.route") or ""
    local pool, timeout, host, address, names =
        (services:lookup(route) or ""):match("^([^|]*)|(%d+)|([^|]*)|([^|]*)|([^|]*)$")
    if not pool then
        return
    end
    local identity = set_of(identities:lookup(route) or "")
    local request = {
        url = pool == "~" and address or ASKED .. address,
        headers = question(txn, pool, host, identity),
        timeout = tonumber(timeout),
        dst = pool ~= "~" and INSIDE or nil,
    }
    local ran, answer = pcall(function() return core.httpclient():get(request) end)
    local status = ran and answer and answer.status or 0
    if status >= 200 and status < 300 then
        local headers = {}
        for name in names:gmatch("[^,]+") do
            local values = list_of(answer.headers[name:lower()] or {})
            if #values > 0 then
                headers[#headers + 1] = { name, table.concat(values, ", ") }
            end
        end
        txn:set_priv(headers)
        txn:set_var("txn.admitted", "yes")
    elseif status >= 300 and status < 500 and not leaving(txn) then
        refuse(txn, answer)
    end
end, 0)

-- To a replica

core.register_action("identify", { "http-req" }, function(txn)
    local identity = set_of(identities:lookup(txn:get_var("txn.route") or "") or "")
    for name in pairs(txn.http:req_get_headers()) do
        if identity[folded(name)] then
            txn.http:req_del_header(name)
        end
    end
    if txn:get_var("txn.login_name") then
        -- The password is the gateway's.
        txn.http:req_del_header("authorization")
    elseif not txn:get_var("txn.admitted") then
        return
    end
    for _, header in ipairs(txn:get_priv() or {}) do
        txn.http:req_add_header(header[1], header[2])
    end
end, 0)
