-- The hashes of htpasswd files: SHA-512-crypt with HAProxy's own SHA-512, and bcrypt. HAProxy calls crypt(3) only for the
-- users of its configuration, which takes a reload to change, and a thread serves nothing else meanwhile.
--
-- A hash is computed in parts of about a millisecond. After each of them the thread serves everything else that is due.

hashes = {}

local PAUSE_MS = 1
local SHA_PART = 500
-- The hook that HAProxy has Lua call would take half of the time; it is back after each pause.
local function unhooked()
    debug.sethook()
end

local function pause(beat)
    beat()
    core.msleep(PAUSE_MS)
    unhooked()
end

-- SHA-512-crypt

local SHA_DIGITS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

local function sha_encoded(bytes)
    local out = {}
    local function put(value, digits)
        for _ = 1, digits do
            out[#out + 1] = SHA_DIGITS:sub((value & 63) + 1, (value & 63) + 1)
            value = value >> 6
        end
    end
    -- Each group has a byte of each third, and each group begins with the next third.
    for i = 0, 20 do
        local group = { i, 21 + i, 42 + i }
        local first = i % 3
        local function byte(n)
            return bytes:byte(group[(first + n) % 3 + 1] + 1)
        end
        put(byte(0) << 16 | byte(1) << 8 | byte(2), 4)
    end
    put(bytes:byte(64), 2)
    return table.concat(out)
end

local function repeated(block, length)
    return block:rep(length // 64) .. block:sub(1, length % 64)
end

function hashes.sha512(converters, password, salt, rounds, beat)
    unhooked()
    local function digest(text)
        return converters:sha2(text, 512)
    end
    local inner = digest(password .. salt .. password)
    local parts = { password, salt, repeated(inner, #password) }
    local length = #password
    while length > 0 do
        parts[#parts + 1] = length & 1 == 1 and inner or password
        length = length >> 1
    end
    local found = digest(table.concat(parts))
    local p = repeated(digest(password:rep(#password)), #password)
    local s = repeated(digest(salt:rep(16 + found:byte(1))), #salt)
    for round = 0, rounds - 1 do
        local odd = round & 1 == 1
        found = digest(
            (odd and p or found)
                .. (round % 3 ~= 0 and s or "")
                .. (round % 7 ~= 0 and p or "")
                .. (odd and found or p)
        )
        if round % SHA_PART == SHA_PART - 1 then
            pause(beat)
        end
    end
    return sha_encoded(found)
end

-- bcrypt

local PI = "/usr/local/etc/haproxy/pi.hex"
local DIGITS = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
local TEXT = "OrpheanBeholderScryDoubt"
local KEY_BYTES = 72
local MASK = 0xffffffff

-- Blowfish begins with the fraction of pi: 18 words of keys, then four boxes of 256.
local function words_of_pi()
    local file = assert(io.open(PI, "r"))
    local digits = file:read("a"):gsub("%s", "")
    file:close()
    local words = {}
    for word in digits:gmatch("%x%x%x%x%x%x%x%x") do
        words[#words + 1] = tonumber(word, 16)
    end
    assert(#words == 18 + 4 * 256, PI)
    return words
end

local pi = words_of_pi()
local values = {}
for index = 1, 64 do
    values[DIGITS:byte(index)] = index - 1
end

local function bytes_of(digits)
    local out, bits, count = {}, 0, 0
    for index = 1, #digits do
        bits, count = bits << 6 | values[digits:byte(index)], count + 6
        if count >= 8 then
            count = count - 8
            out[#out + 1] = string.char(bits >> count & 255)
            bits = bits & ((1 << count) - 1)
        end
    end
    return table.concat(out)
end

local function digits_of(bytes)
    local out, bits, count = {}, 0, 0
    for index = 1, #bytes do
        bits, count = bits << 8 | bytes:byte(index), count + 8
        while count >= 6 do
            count = count - 6
            local value = bits >> count & 63
            out[#out + 1] = DIGITS:sub(value + 1, value + 1)
        end
        bits = bits & ((1 << count) - 1)
    end
    if count > 0 then
        local value = bits << (6 - count) & 63
        out[#out + 1] = DIGITS:sub(value + 1, value + 1)
    end
    return table.concat(out)
end

-- Words of these bytes, which are repeated as often as it takes.
local function words_of(bytes, count)
    local words, at = {}, 0
    for index = 1, count do
        local word = 0
        for _ = 1, 4 do
            word = word << 8 | bytes:byte(at + 1)
            at = (at + 1) % #bytes
        end
        words[index] = word
    end
    return words
end

local function encipher(keys, a, b, c, d, left, right)
    for round = 1, 16, 2 do
        left = left ~ keys[round]
        right = right ~ ((a[left >> 24] + b[left >> 16 & 255] ~ c[left >> 8 & 255]) + d[left & 255] & MASK)
        right = right ~ keys[round + 1]
        left = left ~ ((a[right >> 24] + b[right >> 16 & 255] ~ c[right >> 8 & 255]) + d[right & 255] & MASK)
    end
    return right ~ keys[18], left ~ keys[17]
end

function hashes.bcrypt(password, salt, cost, beat)
    unhooked()
    local secret = words_of((password .. "\0"):sub(1, KEY_BYTES), 18)
    local spice = words_of(bytes_of(salt), 18)
    local keys, boxes = { table.unpack(pi, 1, 18) }, {}
    for number = 0, 3 do
        local box = {}
        for index = 0, 255 do
            box[index] = pi[18 + number * 256 + index + 1]
        end
        boxes[number + 1] = box
    end
    local a, b, c, d = table.unpack(boxes)

    -- With `words` as the key; with `mixed`, the salt is part of what is enciphered.
    local function expand(words, mixed)
        for index = 1, 18 do
            keys[index] = keys[index] ~ words[index]
        end
        local left, right, at = 0, 0, 0
        local function fill(target, first, last)
            for index = first, last, 2 do
                if mixed then
                    left, right = left ~ spice[at + 1], right ~ spice[at + 2]
                    at = (at + 2) % 4
                end
                left, right = encipher(keys, a, b, c, d, left, right)
                target[index], target[index + 1] = left, right
            end
        end
        fill(keys, 1, 17)
        for _, box in ipairs(boxes) do
            fill(box, 0, 254)
        end
    end

    expand(secret, true)
    for _ = 1, 1 << cost do
        expand(secret, false)
        expand(spice, false)
        pause(beat)
    end
    local text = { string.unpack(">I4I4I4I4I4I4", TEXT) }
    for index = 1, 5, 2 do
        for _ = 1, 64 do
            text[index], text[index + 1] = encipher(keys, a, b, c, d, text[index], text[index + 1])
        end
    end
    return digits_of(string.pack(">I4I4I4I4I4I4", table.unpack(text, 1, 6)):sub(1, 23))
end
