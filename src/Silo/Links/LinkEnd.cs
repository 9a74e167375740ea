namespace Krewe.Silo.Links;

/// <summary>
/// Why a control link is over. <paramref name="Code"/> is WorkerLost (closed) or WorkerStalled (silent).
/// </summary>
internal sealed record LinkEnd(ErrorCode Code, string Reason);
