// Boost.JSON itself, headers only: no package beyond Boost's headers.
#include <boost/json/src.hpp>
