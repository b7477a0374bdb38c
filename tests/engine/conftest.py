"""Property tests do the same on a busy machine as on an idle one."""

import hypothesis

hypothesis.settings.register_profile("calm", deadline=None)
hypothesis.settings.load_profile("calm")
