// host_stream: Tutti's own stream: a queue with a thread that runs it.
#pragma once
#include "lib/comm/stream.h"

namespace tutti {

class HostStream final : public Stream {
 public:
  static Result<std::unique_ptr<Stream>> start();
  ~HostStream() override;
  void push(Queue&& entries) noexcept override;
  Status synchronize() override;
  Status query() override;

 private:
  HostStream() = default;
  void work();

  std::mutex mutex_;
  Condition changed_;
  Queue queue_;
  bool busy_ = false, ending_ = false;
  Status first_failure_;
  Thread thread_;
};

}  // namespace tutti
