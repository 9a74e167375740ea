namespace Krewe.Models;

/// <summary>
/// A model folder that cannot be served: a file, field, tensor, token or template is missing, corrupt or not
/// supported. The message names the file and the thing, and says what to change.
/// </summary>
public sealed class ModelException(string message, Exception? inner = null) : Exception(message, inner);
