// Ctrl-C in a long command: what is under way becomes durable, and the next run goes on behind it. One
// thread.
#pragma once

namespace pier::program {

// While it lives SIGINT only sets interrupted().
class InterruptGuard {
  public:
    InterruptGuard();
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

    static bool interrupted();

  private:
    void (*before_)(int);
};

}  // namespace pier::program
