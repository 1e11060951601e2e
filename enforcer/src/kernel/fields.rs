//! Offsets of structure members, from the running kernel's BTF. There are no defaults: a member that the kernel lacks is an error that names it.

use btf_rs::{Btf, BtfType, Type};
use portcullis_abi::{
    KERNEL_FIELDS, KernelField,
    fields::{ABSENT, OPTIONAL},
};
use thiserror::Error;

/// Why an offset could not be found.
#[derive(Debug, Error)]
pub enum FieldError {
    /// The BTF could not be read.
    #[error("cannot read the kernel's type information: {0}")]
    Btf(#[from] btf_rs::Error),
    /// The structure or all names of the member are unknown to the kernel.
    #[error("this kernel has no member {structure}.{member}: it is newer or older than this release supports (see docs/kernel-support.md)", structure = .0.structure, member = .0.members.join("|"))]
    Missing(&'static KernelField),
    /// The member does not begin at a whole byte.
    #[error("{structure}.{member} is a bit field in this kernel", structure = .0.structure, member = .0.members.join("|"))]
    BitField(&'static KernelField),
}

/// The offset in bytes of each of [`KERNEL_FIELDS`], with the global of the object that holds it. `overlay` has the types of overlayfs where it
/// is a module.
///
/// # Errors
/// [`FieldError`] with the first member that cannot be had.
pub fn offsets(btf: &Btf, overlay: Option<&Btf>) -> Result<Vec<(&'static str, u64)>, FieldError> {
    let all = KERNEL_FIELDS.iter().map(|field| match offset(btf, field) {
        Err(FieldError::Missing(_)) if let Some(offset) = overlay.and_then(|overlay| offset(overlay, field).ok()) => {
            Ok((field.global, offset))
        }
        Err(FieldError::Missing(_)) if OPTIONAL.contains(&field.global) => Ok((field.global, ABSENT)),
        found => Ok((field.global, found?)),
    });
    all.collect()
}

/// The bit of `FMODE_BACKING` (`include/linux/fs.h`), which types do not show. It moved when events of opened files became something to opt in
/// for (6.14, and late releases of 6.12), with a function of that name.
#[must_use]
pub fn backing_mode(btf: &Btf) -> u64 {
    let has_moved = ["file_set_fsnotify_mode", "file_set_fsnotify_mode_from_watchers"]
        .iter()
        .any(|function| btf.resolve_ids_by_name(function).is_ok_and(|ids| !ids.is_empty()));
    if has_moved { 1 << 24 } else { 1 << 25 }
}

fn offset(btf: &Btf, field: &'static KernelField) -> Result<u64, FieldError> {
    for r#type in btf.resolve_types_by_name(field.structure).map_err(|_| FieldError::Missing(field))? {
        for name in field.members {
            if let Some(bits) = bits_to(btf, &r#type, name)? {
                return if bits % 8 == 0 { Ok(u64::from(bits / 8)) } else { Err(FieldError::BitField(field)) };
            }
        }
    }
    Err(FieldError::Missing(field))
}

/// How many bits into the structure the member lies. Members of anonymous structures and unions are members of what holds them (C11, 6.7.2.1).
fn bits_to(btf: &Btf, r#type: &Type, wanted: &str) -> Result<Option<u32>, FieldError> {
    let (Type::Struct(holder) | Type::Union(holder)) = r#type else { return Ok(None) };
    for member in &holder.members {
        let name = btf.resolve_name(member)?;
        if name == wanted {
            return Ok(Some(member.bit_offset()));
        }
        if name.is_empty() {
            let Some(id) = member.get_type_id() else { continue };
            if let Some(bits) = bits_to(btf, &btf.resolve_type_by_id(id)?, wanted)? {
                return Ok(Some(member.bit_offset() + bits));
            }
        }
    }
    Ok(None)
}
