// What every command says of itself, and what it says to wrong use. No store is opened here.
#include <cstdio>

#include <gmock/gmock.h>

#include "cli_fixture.h"
#include "main/commands/commands.h"
#include "main/config.h"
#include "main/manual.h"
#include "main/progress_bar.h"

namespace pier::program {
namespace {

using testing::HasSubstr;

class Usage : public CliTest {
  protected:
    // Calls `visit` for every command that has no commands below it.
    template <class Visit>
    static void each_leaf(const CommandInfo& command, const Visit& visit) {
        if (command.children.empty()) visit(command);
        for (const CommandInfo& child : command.children)
            each_leaf(child, visit);
    }
    static CommandInfo all() {
        std::istringstream in;
        std::ostringstream out;
        Terminal terminal{in, out, out};
        Program program(terminal);
        return describe(program.app());
    }
    // The output of a shell command, with its exit status.
    static std::pair<int, std::string> shell(const std::string& command) {
        std::string out;
        FILE* pipe = popen((command + " 2>&1").c_str(), "r");
        for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe))
            out += static_cast<char>(c);
        return {pclose(pipe), out};
    }
};

TEST_F(Usage, EveryCommandHasHelp) {
    int leaves = 0;
    each_leaf(all(), [&](const CommandInfo& command) {
        ++leaves;
        EXPECT_TRUE(command.help.ends_with('.') || command.help.ends_with("shows it.")) << command.name;
        for (const OptionInfo& option : command.options)
            EXPECT_TRUE(option.help.ends_with('.')) << command.name << " " << option.names;
        std::vector<std::string> words;
        std::istringstream name(command.name.substr(5));
        for (std::string word; name >> word;)
            words.push_back(word);
        words.push_back("--help");
        const Ran ran = run(words);
        EXPECT_EQ(ran.code, 0);
        EXPECT_THAT(ran.out, HasSubstr("Usage: " + command.name));
        EXPECT_EQ(ran.err, "");
    });
    EXPECT_GE(leaves, 25);
}

TEST_F(Usage, WrongUseIsToldWithTheNearestWordAndExits2) {
    const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
        {{}, "pier: A subcommand is required\nSee \"pier --help\".\n"},
        {{"acount"}, "pier: \"acount\" is not known here; did you mean \"account\"?\nSee \"pier --help\".\n"},
        {{"zzz"}, "pier: \"zzz\" is not known here\nSee \"pier --help\".\n"},
        {{"account"}, "pier: A subcommand is required\nSee \"pier account --help\".\n"},
        {{"account", "lst"},
         "pier: \"lst\" is not known here; did you mean \"list\"?\nSee \"pier account --help\".\n"},
        {{"account", "add"}, "pier: ACCOUNT is required\nSee \"pier account add --help\".\n"},
        {{"account", "add", "a", "--quotaa", "1"},
         "pier: \"--quotaa\" is not known here; did you mean \"--quota\"?\nSee \"pier account add "
         "--help\".\n"},
        {{"account", "show"}, "pier: ACCOUNT is required\nSee \"pier account show --help\".\n"},
        {{"account", "passwd"}, "pier: ACCOUNT is required\nSee \"pier account passwd --help\".\n"},
        {{"account", "disable"}, "pier: ACCOUNT is required\nSee \"pier account disable --help\".\n"},
        {{"account", "enable"}, "pier: ACCOUNT is required\nSee \"pier account enable --help\".\n"},
        {{"account", "change"}, "pier: ACCOUNT is required\nSee \"pier account change --help\".\n"},
        {{"account", "change", "a", "--exclusive", "onn"},
         "pier: --exclusive: can't be \"onn\"; did you mean \"on\"?\nSee \"pier account change --help\".\n"},
        {{"account", "remove"}, "pier: ACCOUNT is required\nSee \"pier account remove --help\".\n"},
        {{"alias", "add", "x"}, "pier: TARGET is required\nSee \"pier alias add --help\".\n"},
        {{"alias", "remove"}, "pier: ADDRESS is required\nSee \"pier alias remove --help\".\n"},
        {{"domain", "add"}, "pier: DOMAIN is required\nSee \"pier domain add --help\".\n"},
        {{"domain", "remove"}, "pier: DOMAIN is required\nSee \"pier domain remove --help\".\n"},
        {{"deliver"}, "pier: ACCOUNT is required\nSee \"pier deliver --help\".\n"},
        {{"import", "pst", "a", "b"}, "pier: \"pst\" is not known here\nSee \"pier import --help\".\n"},
        {{"import", "mbox", "a"}, "pier: PATH is required\nSee \"pier import mbox --help\".\n"},
        {{"import", "mbox", "a", "b", "--quoting", "x"},
         "pier: --quoting: can't be \"x\"; known are rd, o and none\nSee \"pier import mbox --help\".\n"},
        {{"log", "level", "inf"},
         "pier: LEVEL: can't be \"inf\"; did you mean \"info\"?\nSee \"pier log level --help\".\n"},
        {{"completion", "bsh"},
         "pier: SHELL: can't be \"bsh\"; did you mean \"bash\"?\nSee \"pier completion --help\".\n"},
        {{"store"}, "pier: A subcommand is required\nSee \"pier store --help\".\n"},
    };
    for (const auto& [arguments, message] : cases) {
        const Ran ran = run(arguments);
        EXPECT_EQ(ran.code, 2) << message;
        EXPECT_EQ(ran.err, message);
        EXPECT_EQ(ran.out, "");
    }
}

TEST_F(Usage, OnePasswordSourceOnly) {
    const Ran ran = run({"account", "add", "a", "--generate", "--password-file", "x"});
    EXPECT_EQ(ran.code, 2);
    EXPECT_THAT(ran.err, HasSubstr(" excludes --"));
}

TEST_F(Usage, VersionIsPrinted) {
    EXPECT_EQ(run({"--version"}).out, "pier " PIER_VERSION "\n");
}

TEST_F(Usage, CheckExitsBySeverity) {
    const Ran fine = run({"check"});
    EXPECT_EQ(fine.code, 0) << fine.out;
    EXPECT_EQ(fine.out, path("pier.toml") + ": fine\n");

    write("pier.toml",
          "[server]\ndata_folder = \"data\"\nuser = \"\"\n[admin]\nsocket = \"s\"\n[pop3]\nidle_timeout = "
          "\"1m\"\n"
          "[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n");
    const Ran warned = run({"check"});
    EXPECT_EQ(warned.code, 1);
    EXPECT_EQ(warned.out,
              path("pier.toml") +
                  ":7:1: warning: pop3.idle_timeout is 60s, but RFC 1939 §3 promises clients at least ten "
                  "minutes; write \"10m\"\n");

    write("pier.toml",
          "[server]\ndata_folder = \"pier.toml\"\nuser = \"\"\nthread = 1\n[admin]\nsocket = \"s\"\n[tls]\n"
          "certificate = \"no.pem\"\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n");
    const Ran wrong = run({"check"});
    EXPECT_EQ(wrong.code, 2);
    EXPECT_EQ(
        wrong.out,
        fmt::format(
            "{0}/pier.toml:2:1: error: server.data_folder {0}/pier.toml is not a folder; name another\n"
            "{0}/pier.toml:4:1: error: unknown key \"thread\" in [server]; did you mean \"threads\"?\n"
            "{0}/pier.toml:8:1: error: can't read {0}/no.pem: No such file or directory; check the path and "
            "who may read it\n",
            folder_.string()));
    const auto json = run({"check", "--json"}).json();
    EXPECT_FALSE(json.at("usable").as_bool());
    EXPECT_EQ(json.at("problems").as_array().size(), 3u);
    EXPECT_EQ(json.at("problems").at(1).at("line").to_number<int>(), 4);
    EXPECT_EQ(json.at("problems").at(1).at("column").to_number<int>(), 1);
}

TEST_F(Usage, CheckLooksAtFoldersAndLeavesThoseOfSocketsToTheServer) {
    write("file", "");
    write("pier.toml",
          "[server]\ndata_folder = \"new/data\"\nuser = \"\"\n[admin]\nsocket = \"nowhere/s\"\n[log]\nfile = "
          "\"file/log\"\n[[listener]]\nprotocol = \"lmtp\"\npath = \"nowhere/lmtp\"\n");
    const Ran ran = run({"check"});
    EXPECT_EQ(ran.code, 2);
    EXPECT_EQ(ran.out,
              fmt::format(
                  "{0}/pier.toml:7:1: error: the folder of log.file {0}/file is not a folder; name another\n",
                  folder_.string()));
}

TEST_F(Usage, CheckReadsThePasswordsAndAuthoritiesThatAreNamed) {
    write("empty", "\n");
    write("pier.toml",
          "[server]\ndata_folder = \"data\"\nuser = \"\"\n[admin]\nsocket = \"s\"\n"
          "[queue]\nsmarthost = \"mail.example:587\"\nsmarthost_user = \"us\"\n"
          "smarthost_password_file = \"none\"\ndns_servers = [\"127.0.0.1:53\", \"::1\", \"[::1]:53\"]\n"
          "[[backend]]\nname = \"db\"\nkind = \"sql\"\nconnection = \"host=localhost\"\n"
          "password_query = \"SELECT password FROM users WHERE name = %u\"\npassword_file = \"empty\"\n"
          "[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n");
    const Ran warned = run({"check"});
    EXPECT_EQ(warned.code, 1) << warned.out;
    EXPECT_THAT(warned.out, HasSubstr(":9:1: warning: cannot read " + path("none") +
                                      " (smarthost_password_file): No such file or directory: until that is "
                                      "mended, mail for the smarthost waits\n"));
    EXPECT_THAT(warned.out, HasSubstr(":16:1: warning: the first line of " + path("empty")));
    EXPECT_THAT(warned.out, HasSubstr("the back end \"db\" is out\n"));

    write("pier.toml",
          "[server]\ndata_folder = \"data\"\nuser = \"\"\n[admin]\nsocket = \"s\"\n"
          "[queue]\nca_file = \"empty\"\ndns_servers = [\"localhost\"]\n"
          "[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n");
    const Ran wrong = run({"check"});
    EXPECT_EQ(wrong.code, 2) << wrong.out;
    EXPECT_THAT(wrong.out, HasSubstr(":7:1: error: "));
    EXPECT_THAT(wrong.out, HasSubstr(":8:1: error: queue.dns_servers: \"localhost\" is no IP address"));
}

TEST_F(Usage, CheckFindsAKeyThatDoesNotBelongToItsCertificate) {
    const std::string make =
        "openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=localhost -keyout {0}/{1}.key -out "
        "{0}/{1}.pem";
    ASSERT_EQ(shell(fmt::format(fmt::runtime(make), folder_.string(), "a")).first, 0);
    ASSERT_EQ(shell(fmt::format(fmt::runtime(make), folder_.string(), "b")).first, 0);
    const auto config = [&](const std::string& key) {
        write("pier.toml",
              fmt::format(
                  "[server]\ndata_folder = \"data\"\nuser = \"\"\n[admin]\nsocket = \"s\"\n[tls]\n"
                  "certificate = \"a.pem\"\nkey = \"{}\"\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n",
                  key));
    };
    config("a.key");
    const Ran fine = run({"check"});
    EXPECT_EQ(fine.code, 0) << fine.out;
    config("b.key");
    const Ran wrong = run({"check"});
    EXPECT_EQ(wrong.code, 2);
    EXPECT_THAT(wrong.out, HasSubstr("/pier.toml:7:1: error: "));
    config("a.key");
    std::filesystem::permissions(path("a.key"), std::filesystem::perms::others_read,
                                 std::filesystem::perm_options::add);
    const Ran open = run({"check"});
    EXPECT_EQ(open.code, 1);
    EXPECT_THAT(open.out,
                HasSubstr("/pier.toml:8:1: warning: everybody on this machine can read the private key"));
}

TEST_F(Usage, EveryCommandRefusesABrokenConfiguration) {
    write("pier.toml", "[server]\nthreads = -1\n");
    const std::string message =
        path("pier.toml") +
        ":2:11: server.threads is negative; it must be from 0 to 1024\nthe configuration has "
        "errors; correct them, then run \"pier check\"";
    for (const std::vector<std::string>& arguments :
         std::vector<std::vector<std::string>>{{"account", "list"},
                                               {"alias", "list"},
                                               {"domain", "list"},
                                               {"store", "stats"},
                                               {"store", "verify"},
                                               {"store", "rebuild"},
                                               {"status"},
                                               {"metrics"},
                                               {"reload"},
                                               {"drain"},
                                               {"log", "tail"},
                                               {"config", "show"},
                                               {"serve"}}) {
        const Ran ran = run(arguments);
        EXPECT_EQ(ran.code, 2) << arguments[0];
        EXPECT_EQ(ran.err, "pier: " + message + "\n");
    }
    const auto json = run({"account", "list", "--json"}).json();
    EXPECT_EQ(json.at("error").at("kind").as_string(), "invalid");
}

TEST_F(Usage, ConfigSampleAndShow) {
    const Ran sample = run({"config", "sample"});
    EXPECT_EQ(sample.code, 0);
    EXPECT_THAT(sample.out, HasSubstr("#message_size_max = \"64 MiB\"\n"));
    const Ran show = run({"config", "show"});
    EXPECT_EQ(show.code, 0);
    EXPECT_THAT(show.out, HasSubstr("hostname = \"mail.example.org\"\n"));
    EXPECT_EQ(ask({"config", "show"}).at("server").at("data_folder").as_string(), path("data"));
}

TEST_F(Usage, ManualPageNamesEverythingAndHasNoWarnings) {
    const std::string page = run({"man"}).out;
    const auto escaped = [](std::string text) {
        for (std::size_t at = text.find('-'); at != std::string::npos; at = text.find('-', at + 2))
            text.insert(at, "\\");
        return text;
    };
    each_leaf(all(), [&](const CommandInfo& command) {
        EXPECT_THAT(page, HasSubstr(".SS " + escaped(command.name) + "\n"));
    });
    for (const Section& section : sections()) {
        for (const Field& field : section.fields)
            EXPECT_THAT(page, HasSubstr(".B " + escaped(std::string(field.key)) + "\n"));
    }
    if (shell("groff --version").first != 0) GTEST_SKIP() << "groff is not here to check the page";
    write("pier.1", page);
    const auto [status, warnings] = shell(fmt::format("groff -man -ww -z -K utf8 {}", path("pier.1")));
    EXPECT_EQ(status, 0);
    EXPECT_EQ(warnings, "");
}

TEST_F(Usage, BashCompletes) {
    write("pier.bash", run({"completion", "bash"}).out);
    write("one.toml", "");
    const auto complete = [&](const std::string& words) {
        return shell(fmt::format("cd {} && bash -c '. ./pier.bash; COMP_WORDS=(pier {}); "
                                 "COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); _pier; "
                                 "echo ${{COMPREPLY[@]}}'",
                                 folder_.string(), words))
            .second;
    };
    EXPECT_EQ(complete("acc"), "account\n");
    EXPECT_EQ(complete("account di"), "disable\n");
    EXPECT_EQ(complete("account d"), "disable deny\n");
    EXPECT_EQ(complete("account --json ch"), "change\n");
    EXPECT_EQ(complete("account add x --qu"), "--quota\n");
    EXPECT_EQ(complete("account change x --exclusive \"\""), "on off\n");
    EXPECT_EQ(complete("completion z"), "zsh\n");
    EXPECT_EQ(complete("--config one"), "one.toml\n");
    EXPECT_EQ(complete("import mbox a one"), "one.toml\n");
}

TEST_F(Usage, OtherShellsGetTheirScripts) {
    const Ran zsh = run({"completion", "zsh"});
    EXPECT_EQ(zsh.out.substr(0, 14), "#compdef pier\n");
    if (shell("zsh --version").first == 0) {
        write("pier.zsh", zsh.out);
        EXPECT_EQ(shell("zsh -n " + path("pier.zsh")).second, "");
    }
    const Ran fish = run({"completion", "fish"});
    EXPECT_THAT(
        fish.out,
        HasSubstr("complete -c pier -n '__pier_at \\'pier account\\'' -a add -d 'Add an account.'\n"));
    if (shell("fish --version").first == 0) {
        write("pier.fish", fish.out);
        EXPECT_EQ(shell("fish -n " + path("pier.fish")).second, "");
    }
}

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
    EXPECT_EQ(table({{"A", "B"}, {"grün", "x"}, {"lang ist das", ""}}),
              "A             B\ngrün          x\nlang ist das\n");
}

TEST(LogTail, LinesInCommon) {
    EXPECT_EQ(lines_in_common({}, {"a"}), 0u);
    EXPECT_EQ(lines_in_common({"a", "b"}, {"a", "b"}), 2u);
    EXPECT_EQ(lines_in_common({"a", "b"}, {"a", "b", "c"}), 2u);
    EXPECT_EQ(lines_in_common({"a", "b", "c"}, {"b", "c", "d"}), 2u);
    EXPECT_EQ(lines_in_common({"a", "a", "a"}, {"a", "a", "a", "a"}), 3u);
    EXPECT_EQ(lines_in_common({"a", "b"}, {"c", "d"}), 0u);
    EXPECT_EQ(lines_in_common({"a", "b"}, {}), 0u);
}

TEST(ProgressBar, Line) {
    EXPECT_EQ(progress_line(0, 100, "x"), "[--------------------]   0%  x");
    EXPECT_EQ(progress_line(50, 100, "x"), "[##########----------]  50%  x");
    EXPECT_EQ(progress_line(200, 100, "x"), "[####################] 100%  x");
    EXPECT_EQ(progress_line(0, 0, "x"), "[####################] 100%  x");
}

}  // namespace
}  // namespace pier::program
