namespace Krewe.Control.Links;

/// <summary>Bytes that are not a frame of the link's protocol. The link cannot be read on and must be closed.</summary>
public sealed class FrameException(string message, Exception? innerException = null)
    : Exception(message, innerException);
