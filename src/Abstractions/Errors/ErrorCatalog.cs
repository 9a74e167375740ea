namespace Krewe.Abstractions;

/// <summary>
/// What a client sees of an <see cref="ErrorCode"/>, and whether the cluster may try again by itself.
/// </summary>
/// <param name="HttpStatus">Status of the HTTP answer.</param>
/// <param name="Type">The error object's "type" (OpenAI's names).</param>
/// <param name="Code">The error object's "code": snake_case, stable.</param>
/// <param name="Retryable">True when a new attempt on another or restarted worker may succeed.</param>
public readonly record struct ErrorInfo(int HttpStatus, string Type, string Code, bool Retryable);

/// <summary>Maps each <see cref="ErrorCode"/> to what a client sees. Total: a code without a row is a bug.</summary>
public static class ErrorCatalog
{
    private const string Invalid = "invalid_request_error";
    private const string Server = "server_error";

    public static ErrorInfo Describe(ErrorCode code) => code switch
    {
        ErrorCode.InvalidRequest => new(400, Invalid, "invalid_value", false),
        ErrorCode.InvalidJson => new(400, Invalid, "invalid_json", false),
        ErrorCode.UnsupportedParameter => new(400, Invalid, "unsupported_parameter", false),
        ErrorCode.ContextLengthExceeded => new(400, Invalid, "context_length_exceeded", false),
        ErrorCode.ModelNotFound => new(404, Invalid, "model_not_found", false),
        ErrorCode.NotFound => new(404, Invalid, "not_found", false),
        ErrorCode.MethodNotAllowed => new(405, Invalid, "method_not_allowed", false),
        ErrorCode.UnsupportedMediaType => new(400, Invalid, "unsupported_media_type", false),
        ErrorCode.RequestTooLarge => new(413, Invalid, "request_too_large", false),
        ErrorCode.DuplicateRequestId => new(409, Invalid, "duplicate_request_id", false),
        ErrorCode.IdempotencyKeyReused => new(422, Invalid, "idempotency_key_reused", false),
        ErrorCode.RequestTimedOut => new(408, Invalid, "request_timed_out", false),
        ErrorCode.InvalidApiKey => new(401, "authentication_error", "invalid_api_key", false),
        ErrorCode.PermissionDenied => new(403, "permission_error", "permission_denied", false),
        ErrorCode.RateLimited => new(429, "rate_limit_error", "rate_limit_exceeded", false),
        ErrorCode.NoWorkers => new(503, Server, "no_workers", true),
        ErrorCode.Overloaded => new(429, "rate_limit_error", "overloaded", true),
        ErrorCode.Draining => new(503, Server, "draining", true),
        ErrorCode.DeadlineExceeded => new(504, Server, "deadline_exceeded", false),
        ErrorCode.ClientClosedRequest => new(499, Invalid, "client_closed_request", false),
        ErrorCode.WorkerLost => new(503, Server, "worker_lost", true),
        ErrorCode.WorkerStalled => new(503, Server, "worker_stalled", true),
        ErrorCode.HandoffSourceLost => new(503, Server, "handoff_source_lost", true),
        ErrorCode.HandoffTargetLost => new(503, Server, "handoff_target_lost", true),
        ErrorCode.HandoffTimeout => new(503, Server, "handoff_timeout", true),
        ErrorCode.HandoffCorrupt => new(503, Server, "handoff_corrupt", true),
        ErrorCode.HandoffRefused => new(503, Server, "handoff_refused", true),
        ErrorCode.LeaseExpired => new(503, Server, "lease_expired", true),
        ErrorCode.KvPoolTooSmall => new(400, Invalid, "kv_pool_too_small", false),
        ErrorCode.EngineFault => new(500, Server, "engine_fault", false),
        ErrorCode.AttemptsExhausted => new(503, Server, "attempts_exhausted", false),
        ErrorCode.ProtocolMismatch => new(500, Server, "protocol_mismatch", false),
        ErrorCode.ModelMismatch => new(500, Server, "model_mismatch", false),
        ErrorCode.NumericsMismatch => new(500, Server, "numerics_mismatch", false),
        ErrorCode.KvGeometryMismatch => new(500, Server, "kv_geometry_mismatch", false),
        ErrorCode.InvalidOptions => new(500, Server, "invalid_options", false),
        ErrorCode.InvalidModel => new(500, Server, "invalid_model", false),
        ErrorCode.DeviceUnavailable => new(500, Server, "device_unavailable", false),
        ErrorCode.DeviceBusy => new(503, Server, "device_busy", true),
        ErrorCode.PortInUse => new(500, Server, "port_in_use", false),
        ErrorCode.AlreadyLinked => new(500, Server, "already_linked", true),
        ErrorCode.StateUnavailable => new(503, Server, "state_unavailable", true),
        ErrorCode.Internal => new(500, Server, "internal_error", false),
        _ => throw new ArgumentOutOfRangeException(nameof(code), code, "An error code without a row in the catalog."),
    };
}
