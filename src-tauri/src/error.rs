//! Failures as the window gets them: `{ code, message }`, and nothing about a patient.

use lucency_assistant::AssistantError;
use lucency_assistant::dto::ErrorDto;
use lucency_study::StudyError;

/// The result of every command.
pub type Reply<T> = Result<T, ErrorDto>;

/// A failure with a code of the shell's own.
pub fn error(code: &str, message: impl Into<String>) -> ErrorDto {
    ErrorDto {
        code: code.to_owned(),
        message: message.into(),
    }
}

/// A file or frame that could not be read.
pub fn of_study(cause: &StudyError) -> ErrorDto {
    error(cause.code(), cause.to_string())
}

/// A use case that failed, or was stopped.
pub fn of_assistant(cause: &AssistantError) -> ErrorDto {
    match cause {
        AssistantError::Stopped => cancelled(),
        cause => cause.to_dto(),
    }
}

/// The outcome of a job that the user stopped.
pub fn cancelled() -> ErrorDto {
    error("cancelled", "stopped")
}

/// What is left of a panic: the window lives on and says so. The panic's own words may hold patient data.
pub fn of_panic() -> ErrorDto {
    error(
        "internal",
        "something went wrong inside the application; the window can be used further, please report what you did",
    )
}

/// Prints where a panic happened, but not its words.
pub fn keep_panics_private() {
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
        eprintln!("lucency: internal error{place}");
    }));
}
