import type { Context } from './context.ts'
import type { Settings } from './deps.ts'

/** What a DELETE asks for; what is absent is as configured. */
export interface DeletionWish {
  readonly softDelete?: boolean
  readonly cascade?: boolean
  /** Only shown; the audit trail names the principal. */
  readonly deletedBy?: string
}

export interface DeletionMode {
  /** The records are kept in the trash, from where they can be restored. */
  readonly soft: boolean
  /** What depends on the record goes with it; otherwise its being there refuses the deletion. */
  readonly cascade: boolean
  readonly deletedBy: string
}

/** In strict mode every deletion is a real one, whatever is asked for. */
export const deletionMode = (settings: Settings, context: Context, wish: DeletionWish): DeletionMode => ({
  soft: !settings.strict && (wish.softDelete ?? settings.softDeleteDefault),
  cascade: settings.strict || (wish.cascade ?? true),
  deletedBy: wish.deletedBy ?? principalOf(context),
})

// Without authentication there is nobody to name.
const principalOf = ({ principal }: Context): string => (principal.name === 'anonymous' ? 'system' : principal.name)

/** The default of `parse`: nothing is asked for. */
export const asConfigured = (): DeletionWish => ({})
