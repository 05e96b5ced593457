#ifndef KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_SEQUENCE_H_
#define KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_SEQUENCE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kvarts {
namespace resp_differential {

struct Step {
  enum class Form : unsigned char {
    kRequest,    // an array of bulk strings
    kLine,       // the same as a line of quoted words, where it is short enough
    kScanAll,    // a SCAN, whose cursors are followed to the end
    kRaw,        // the bytes args[0], on a connection of their own, and then its end
    kUntilGone,  // no request: waits until the key args[0] has expired
  };

  int connection = 0;
  std::vector<std::string> args;
  Form form = Form::kRequest;
  bool with_next = false;  // sent together with the next of the same connection
  bool settled = false;    // nothing that has expired is still counted

  // One reply to one request, which may be sent together with others.
  bool is_plain() const { return form == Form::kRequest || form == Form::kLine; }
};

// Requests of several connections, one after the other.
struct Sequence {
  std::vector<int> protocols;  // 2 or 3, a connection
  std::vector<Step> steps;
};

// Random commands: most as they are meant, some wrong in one way or other. The same
// for the same seed, but for the time. Expiries are in the past or far away. At the end all keys
// are read.
Sequence Generate(uint64_t seed, size_t steps);

// What a person needs to do it again by hand.
std::string ToText(const Sequence& sequence);
std::string ToText(const Step& step);

}  // namespace resp_differential
}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_SEQUENCE_H_
