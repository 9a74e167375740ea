namespace Krewe.Models;

/// <summary>
/// A conversation that the chat template cannot render: it called <c>raise_exception</c>, met a value it cannot use, or
/// went over a limit. The message is meant for the client who sent the conversation.
/// </summary>
public sealed class TemplateException(string message, Exception? inner = null) : Exception(message, inner);
