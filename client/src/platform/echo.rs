//! The terminal's echo, while a PIN is typed.
//!
//! Whatever reads a PIN switches the echo off and on again. A program that ends meanwhile, because the technician has
//! enough or the gateway has, would leave the terminal mute; so what was there before is remembered and put back.

#[cfg(all(target_os = "linux", feature = "usb-security-key"))]
mod linux {
    use std::fs::File;
    use std::path::Path;
    use std::sync::{Mutex, PoisonError};

    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

    static BEFORE: Mutex<Option<(File, Termios)>> = Mutex::new(None);

    fn exchange(new: Option<(File, Termios)>) -> Option<(File, Termios)> {
        std::mem::replace(&mut *BEFORE.lock().unwrap_or_else(PoisonError::into_inner), new)
    }

    pub(super) fn remember() {
        remember_at(Path::new("/dev/tty"));
    }

    fn remember_at(terminal: &Path) {
        let Ok(terminal) = File::options().read(true).write(true).open(terminal) else { return };
        let Ok(settings) = tcgetattr(&terminal) else { return };
        exchange(Some((terminal, settings)));
    }

    pub(super) fn forget() {
        exchange(None);
    }

    pub(super) fn restore() {
        if let Some((terminal, settings)) = exchange(None) {
            // A terminal that is gone needs no echo.
            let _ = tcsetattr(&terminal, OptionalActions::Now, &settings);
        }
    }

    #[cfg(test)]
    mod tests {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;

        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        use rustix::termios::LocalModes;

        use super::*;

        #[test]
        fn a_terminal_that_was_left_mute_gets_its_echo_back_once() {
            let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
            grantpt(&master).and_then(|()| unlockpt(&master)).unwrap();
            let name = ptsname(&master, Vec::new()).unwrap();
            let path = Path::new(OsStr::from_bytes(name.to_bytes()));
            let terminal = File::options().read(true).write(true).open(path).unwrap();
            let echoes = || tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ECHO);
            let mute = || {
                let mut settings = tcgetattr(&terminal).unwrap();
                settings.local_modes.remove(LocalModes::ECHO);
                tcsetattr(&terminal, OptionalActions::Now, &settings).unwrap();
            };
            assert!(echoes());
            remember_at(path);
            mute();
            restore();
            assert!(echoes(), "the program ended while a PIN was typed");
            remember_at(path);
            mute();
            forget();
            restore();
            assert!(!echoes(), "what was typed to its end is nobody's to put back");
        }
    }
}

#[cfg(not(all(target_os = "linux", feature = "usb-security-key")))]
mod linux {
    pub(super) const fn remember() {}
    pub(super) const fn forget() {}
    pub(super) const fn restore() {}
}

/// The terminal as it was; remembered until this is dropped.
#[derive(Debug)]
pub struct Echo(());

impl Echo {
    /// Remembers the terminal as it is now.
    #[must_use]
    pub fn remember() -> Self {
        linux::remember();
        Self(())
    }

    /// Puts back what is still remembered, at the end of the program.
    pub fn restore() {
        linux::restore();
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        linux::forget();
    }
}
