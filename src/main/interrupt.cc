#include "main/interrupt.h"

#include <csignal>

namespace pier::program {
namespace {

volatile std::sig_atomic_t pressed = 0;

}  // namespace

InterruptGuard::InterruptGuard() : before_(std::signal(SIGINT, [](int) { pressed = 1; })) {
    pressed = 0;
}
InterruptGuard::~InterruptGuard() {
    std::signal(SIGINT, before_);
}
bool InterruptGuard::interrupted() {
    return pressed != 0;
}

}  // namespace pier::program
