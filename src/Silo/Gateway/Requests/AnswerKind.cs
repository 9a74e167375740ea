namespace Krewe.Silo.Gateway.Requests;

/// <summary>Which endpoint a request came in by: it decides how its body is read and its answer written.</summary>
internal enum AnswerKind
{
    /// <summary>POST /v1/chat/completions.</summary>
    Chat,

    /// <summary>POST /v1/completions.</summary>
    Text,

    /// <summary>POST /v1/responses.</summary>
    Response,

    /// <summary>POST /v1/messages.</summary>
    Message,
}
