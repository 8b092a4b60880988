#include "backends/pam.h"

#include <gtest/gtest.h>
#include <security/pam_appl.h>

namespace pier::backends {
namespace {

TEST(Pam, WhatAResultMeansBeforeThePasswordIsKnownToBeRight) {
    EXPECT_TRUE(std::holds_alternative<Found>(answer_to_password(PAM_SUCCESS, "")));
    EXPECT_TRUE(std::holds_alternative<UnknownUser>(answer_to_password(PAM_USER_UNKNOWN, "")));
    for (const int wrong :
         {PAM_AUTH_ERR, PAM_PERM_DENIED, PAM_MAXTRIES, PAM_CRED_INSUFFICIENT, PAM_ACCT_EXPIRED})
        EXPECT_TRUE(std::holds_alternative<WrongPassword>(answer_to_password(wrong, ""))) << wrong;
    for (const int out : {PAM_AUTHINFO_UNAVAIL, PAM_SYSTEM_ERR, PAM_SERVICE_ERR, PAM_OPEN_ERR, PAM_BUF_ERR,
                          PAM_CONV_ERR, PAM_ABORT, PAM_MODULE_UNKNOWN, 1000}) {
        const Answer answer = answer_to_password(out, "no server answers");
        ASSERT_TRUE(std::holds_alternative<Outage>(answer)) << out;
        EXPECT_NE(std::get<Outage>(answer).text.find("no server answers"), std::string::npos);
    }
}

TEST(Pam, WhatAResultMeansOnceThePasswordIsRight) {
    EXPECT_TRUE(std::holds_alternative<Found>(answer_to_account(PAM_SUCCESS, "")));
    for (const int no : {PAM_ACCT_EXPIRED, PAM_NEW_AUTHTOK_REQD, PAM_PERM_DENIED, PAM_AUTH_ERR,
                         PAM_USER_UNKNOWN, PAM_AUTHTOK_EXPIRED, PAM_CRED_EXPIRED}) {
        const Answer answer = answer_to_account(no, "the account has expired");
        ASSERT_TRUE(std::holds_alternative<NotAllowed>(answer)) << no;
        EXPECT_NE(std::get<NotAllowed>(answer).reason.find("the account has expired"), std::string::npos);
    }
    EXPECT_TRUE(std::holds_alternative<Outage>(answer_to_account(PAM_AUTHINFO_UNAVAIL, "")));
}

TEST(Pam, AServiceThatIsNotThereLetsNobodyIn) {
    // Debian's "other" denies everybody whose service has no file: an unknown service says no, and nobody is
    // let in.
    Settings settings;
    settings.pam = {.service = "pier-no-such-service", .uid_min = 0, .uid_max = 0};
    const auto source = (*open_pam(settings))();
    const Answer answer = source->check({.name = "root", .password = "x"});
    EXPECT_FALSE(std::holds_alternative<Found>(answer));
    EXPECT_TRUE(std::holds_alternative<Found>(source->find("root")));
    EXPECT_TRUE(std::holds_alternative<UnknownUser>(source->find("no-such-user")));
    settings.pam.uid_min = settings.pam.uid_max = 1000;
    EXPECT_TRUE(std::holds_alternative<UnknownUser>((*open_pam(settings))()->find("root")))
        << "too small a number";
}

}  // namespace
}  // namespace pier::backends
