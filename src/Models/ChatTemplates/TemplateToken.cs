namespace Krewe.Models;

internal enum TemplateTokenKind
{
    /// <summary>Literal text between tags, whitespace control already applied.</summary>
    Text,

    /// <summary>{{</summary>
    OutputBegin,

    /// <summary>}}</summary>
    OutputEnd,

    /// <summary>{%</summary>
    TagBegin,

    /// <summary>%}</summary>
    TagEnd,

    /// <summary>A name or keyword.</summary>
    Name,

    /// <summary>A string literal, unescaped.</summary>
    String,

    /// <summary>An integer literal.</summary>
    Integer,

    /// <summary>A literal with a point or an exponent.</summary>
    Float,

    /// <summary>Punctuation.</summary>
    Operator,

    /// <summary>The end of the template.</summary>
    End,
}

internal readonly record struct TemplateToken(TemplateTokenKind Kind, string Text, int Line)
{
    public bool Is(string op) => Kind == TemplateTokenKind.Operator && Text == op;

    public bool IsName(string name) => Kind == TemplateTokenKind.Name && Text == name;

    public override string ToString() => Kind switch
    {
        TemplateTokenKind.End => "the end of the template",
        TemplateTokenKind.OutputEnd => "\"}}\"",
        TemplateTokenKind.TagEnd => "\"%}\"",
        _ => $"\"{Text}\"",
    };
}
