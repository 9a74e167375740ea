namespace Krewe.Abstractions;

/// <summary>
/// Every way in which a request, a worker or a start-up can fail: one flat list. <see cref="ErrorCatalog"/> says for
/// each which HTTP status and OpenAI type a client sees, and whether another attempt may succeed.
/// </summary>
public enum ErrorCode
{
    // The client's request.
    InvalidRequest,
    InvalidJson,
    UnsupportedParameter,
    ContextLengthExceeded,
    ModelNotFound,
    NotFound,
    MethodNotAllowed,
    UnsupportedMediaType,
    RequestTooLarge,
    DuplicateRequestId,
    InvalidApiKey,

    // Load and life.
    NoWorkers,
    Overloaded,
    Draining,
    DeadlineExceeded,
    ClientClosedRequest,

    // Workers and links.
    WorkerLost,
    WorkerStalled,
    HandoffSourceLost,
    HandoffTargetLost,
    HandoffTimeout,
    HandoffCorrupt,
    HandoffRefused,
    LeaseExpired,
    KvPoolTooSmall,
    EngineFault,
    AttemptsExhausted,

    // Hello refused.
    ProtocolMismatch,
    ModelMismatch,
    NumericsMismatch,
    KvGeometryMismatch,

    // Start-up.
    InvalidOptions,
    InvalidModel,
    PortInUse,

    Internal,

    // Added later: numbers travel between silos and are never moved.
    IdempotencyKeyReused,
    RequestTimedOut,
    PermissionDenied,
    RateLimited,
    AlreadyLinked,
    StateUnavailable,
    DeviceUnavailable,
    DeviceBusy,
}
