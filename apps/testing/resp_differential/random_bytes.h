#ifndef KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_RANDOM_BYTES_H_
#define KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_RANDOM_BYTES_H_

#include <random>
#include <string>

namespace kvarts {
namespace resp_differential {

// A few requests as they are sent, lines and arrays, some bytes of them wrong. No zero bytes:
// behind one redis-server does not find the end of a line.
std::string RandomBytes(std::mt19937_64* random);

}  // namespace resp_differential
}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_RANDOM_BYTES_H_
