// Seed so that Abstractions compile before the room is built: whoever builds the room deletes this file.
namespace Orleans;

public interface IAddressable;

public interface IGrain : IAddressable;

public interface IGrainWithStringKey : IGrain;

[AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct | AttributeTargets.Enum)]
public sealed class GenerateSerializerAttribute : Attribute;

[AttributeUsage(AttributeTargets.All)]
public sealed class ImmutableAttribute : Attribute;

[AttributeUsage(AttributeTargets.All)]
public sealed class IdAttribute(uint id) : Attribute
{
    public uint Id { get; } = id;
}
