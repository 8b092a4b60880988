// What a web server says an MTA-STS policy is, and TXT records. Input: the text.
#include "queue/mta_sts.h"

#include <string>

#include "dns/answer.h"
#include "fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pier;
    using namespace pier::queue;
    using fuzz::require;
    const std::string_view text = fuzz::text_of(data, size);
    if (const auto policy = parse_sts_policy(text)) {
        require(policy->mx.size() <= sts_mx_max, "hosts are bounded");
        require(policy->mode == StsPolicy::Mode::none || !policy->mx.empty(), "a policy names hosts");
        require(policy->max_age.count() >= 0 && policy->max_age.count() <= 31'557'600, "its time is");
        for (const std::string& mx : policy->mx) {
            require(dns::is_name(mx.starts_with("*.") ? mx.substr(2) : mx), "a host is a name");
            require(policy->allows(mx.starts_with("*.") ? "a." + mx.substr(2) : mx),
                    "it allows what it names");
        }
        require(!policy->allows("") && !policy->allows("not.among.them.test"), "and nothing else");
    } else {
        require(policy.error().text.find('\n') == std::string::npos, "an error is one line");
    }
    if (const auto id = sts_id({std::string(text)}))
        require(!id->empty() && id->size() <= 32, "an id is 1 to 32 characters");
    return 0;
}
