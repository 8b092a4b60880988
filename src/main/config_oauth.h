// What the file says in [oauth], and which of it fits together.
#pragma once

#include "auth/tokens.h"
#include "backends/token_service.h"
#include "main/config.h"
#include "main/config_file.h"

namespace pier::program {

// One of sections().
Section oauth_section();

// Adds what is wrong across its values to loaded.problems.
void check_oauth(Loaded& loaded);

// Of a configuration in which [oauth] is configured.
auth::TokenSettings token_settings(const OauthConfig& oauth);
backends::TokenIssuerSettings issuer_settings(const OauthConfig& oauth);

}  // namespace pier::program
