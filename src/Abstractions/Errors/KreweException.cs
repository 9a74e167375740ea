namespace Krewe.Abstractions;

/// <summary>An error with a code of the flat list. The message says what to change, in words for its reader.</summary>
public sealed class KreweException(
    ErrorCode code, string message, string? parameter = null, Exception? innerException = null)
    : Exception(message, innerException)
{
    public ErrorCode Code { get; } = code;

    /// <summary>The request field that is wrong, as the client spelled its path; null when no field is.</summary>
    public string? Parameter { get; } = parameter;
}
